"""Avro's logical types on JSON: what msgspec reads and how that becomes the number or the bytes that Avro writes.

Times are RFC 3339 text or numbers in the schema's unit, decimals text or numbers, exact or refused. All is integer arithmetic: no float
comes near a microsecond. Every moment lies in the years 1 to 9999, because readers of the lake know no others; digits finer than the
unit are cut off towards the past (msgspec has already rounded to microseconds); there is no leap second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from msgspec import Meta

from hourmark.errors import SchemaMismatch

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  a local timestamp has no zone: that is its meaning
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
MIN_MICROS: Final = -62_135_596_800_000_000
MAX_MICROS: Final = 253_402_300_799_999_999
DAY_MICROS: Final = 86_400_000_000
INT64: Final = (-(2**63), 2**63 - 1)

Convert = Callable[[Any], Any]


class Logical(NamedTuple):
    """`type`: what msgspec decodes. `convert`: that to what is written. `avro`: the schema to write it with."""

    type: Any
    convert: Convert
    avro: Any


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 of a moment with a zone. Exact; may lie outside years 1 to 9999 by its offset."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _local_micros_of(moment: datetime) -> int:
    delta = moment - _LOCAL_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _scaled(micros: int, per_milli: int) -> int:
    return micros * (per_milli // 1000) if per_milli >= 1000 else micros // (1000 // per_milli)


def _timestamp(schema: Any, per_milli: int, *, local: bool) -> Logical:
    low = max(_scaled(MIN_MICROS, per_milli), INT64[0])
    high = min(_scaled(MAX_MICROS, per_milli), INT64[1])
    to_micros = _local_micros_of if local else micros_of

    def convert(value: Any) -> int:
        if type(value) is int:
            return value
        number = _scaled(to_micros(value), per_milli)
        if not low <= number <= high:
            raise SchemaMismatch("this moment is outside what the type can hold")
        return number

    kind = Annotated[datetime, Meta(tz=not local)]
    return Logical(Annotated[int, Meta(ge=low, le=high)] | kind, convert, schema)


def _date(schema: Any) -> Logical:
    low, high = date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY
    return Logical(
        Annotated[int, Meta(ge=low, le=high)] | date,
        lambda value: value if type(value) is int else value.toordinal() - EPOCH_DAY,
        schema,
    )


def _time(schema: Any, per_milli: int) -> Logical:
    def convert(value: Any) -> int:
        if type(value) is int:
            return value
        micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
        return _scaled(micros, per_milli)

    return Logical(Annotated[int, Meta(ge=0, lt=_scaled(DAY_MICROS, per_milli))] | Annotated[time, Meta(tz=False)], convert, schema)


def _decimal(schema: Mapping[str, Any]) -> Logical:
    precision, scale = int(schema["precision"]), int(schema.get("scale", 0))
    context = Context(prec=precision, traps=[Inexact, InvalidOperation, Overflow])
    unit = Decimal(1).scaleb(-scale)

    def convert(value: Decimal) -> Decimal:
        if not value.is_finite():
            raise SchemaMismatch(f"expected decimal, got {value}")
        try:
            return value.quantize(unit, context=context)
        except DecimalException:
            raise SchemaMismatch(f"expected decimal({precision},{scale}), got {str(value)[:60]}") from None

    return Logical(Decimal, convert, schema)


def _plain(schema: Mapping[str, Any]) -> Any:
    """The schema without its logical type: the number is already what is to be written."""
    return {name: value for name, value in schema.items() if name != "logicalType"} if schema["type"] == "fixed" else schema["type"]


def logical(schema: Mapping[str, Any]) -> Logical | None:
    """How to take a value of this schema, or None when its logical type is none or means nothing here (Avro: then ignore it)."""
    kind, base = schema.get("logicalType"), schema["type"]
    found: Logical | None = None
    match kind, base:
        case (("timestamp-millis" | "timestamp-micros" | "timestamp-nanos"), "long"):
            found = _timestamp(_plain(schema), _PER_MILLI[str(kind)[-6:]], local=False)
        case (("local-timestamp-millis" | "local-timestamp-micros" | "local-timestamp-nanos"), "long"):
            found = _timestamp(_plain(schema), _PER_MILLI[str(kind)[-6:]], local=True)
        case "date", "int":
            found = _date(_plain(schema))
        case "time-millis", "int":
            found = _time(_plain(schema), 1)
        case "time-micros", "long":
            found = _time(_plain(schema), 1000)
        case "uuid", "string":
            found = Logical(UUID, str, "string")
        case "uuid", "fixed" if schema["size"] == 16:
            found = Logical(UUID, lambda value: value.bytes, _plain(schema))
        case "decimal", ("bytes" | "fixed"):
            found = _decimal(schema)
    return found


_PER_MILLI: Final = {"millis": 1, "micros": 1000, "-nanos": 1_000_000}
