"""Avro's logical types: what JSON gives, and the number, text or bytes that is written for it; as in every receiver.

Times are RFC 3339 text or numbers in the schema's unit; digits finer than the unit are cut off towards the past. Decimals are exact or
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from msgspec import Meta

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAYS: Final = (date.min.toordinal() - _EPOCH_DAY, date.max.toordinal() - _EPOCH_DAY)
_MICROS: Final = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # the years 1 to 9999: readers of the lake know no others
_DAY_MICROS: Final = 86_400_000_000
_INT64: Final = (-(2**63), 2**63 - 1)

Convert = Callable[[Any], Any]


class Unfit(ValueError):
    """The value is of the right form, but the type cannot hold it."""


class Logical(NamedTuple):
    """`type`: what msgspec decodes. `convert`: that to what is written. `avro`: the schema to write it with."""

    type: Any
    convert: Convert
    avro: Any


def logical(schema: Mapping[str, Any]) -> Logical | None:
    """How to take a value of this schema; None when its logical type is none, or unknown (Avro: then it does not count)."""
    kind, base = schema.get("logicalType"), schema["type"]
    plain = {name: value for name, value in schema.items() if name != "logicalType"} if base == "fixed" else base
    if not isinstance(kind, str):
        return None
    zone, _, unit = kind.rpartition("-")
    if base == "long" and zone in ("timestamp", "local-timestamp") and unit in _PER_MICRO:
        return _timestamp(plain, unit, aware=zone == "timestamp")
    if (base, kind) in (("int", "time-millis"), ("long", "time-micros")):
        return _time(plain, unit)
    if (base, kind) == ("int", "date"):
        return Logical(
            Annotated[int, Meta(ge=_DAYS[0], le=_DAYS[1])] | date,
            lambda value: value if type(value) is int else value.toordinal() - _EPOCH_DAY,
            plain,
        )
    if (base, kind) == ("string", "uuid"):
        return Logical(UUID, str, plain)
    if (base, kind) == ("fixed", "uuid") and schema["size"] == 16:
        return Logical(UUID, lambda value: value.bytes, plain)
    return _decimal(schema) if kind == "decimal" and base in ("bytes", "fixed") else None


_PER_MICRO: Final[Mapping[str, Callable[[int], int]]] = {
    "millis": lambda micros: micros // 1000,
    "micros": lambda micros: micros,
    "nanos": lambda micros: micros * 1000,
}


def _timestamp(plain: Any, unit: str, *, aware: bool) -> Logical:
    scale = _PER_MICRO[unit]
    low, high = max(scale(_MICROS[0]), _INT64[0]), min(scale(_MICROS[1]), _INT64[1])
    epoch = EPOCH if aware else EPOCH.replace(tzinfo=None)

    def convert(value: Any) -> int:
        if type(value) is int:
            return value
        delta = value - epoch
        number = scale((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)
        if not low <= number <= high:
            raise Unfit("this moment is outside what the type can hold")
        return number

    return Logical(Annotated[int, Meta(ge=low, le=high)] | Annotated[datetime, Meta(tz=aware)], convert, plain)


def _time(plain: Any, unit: str) -> Logical:
    scale = _PER_MICRO[unit]

    def convert(value: Any) -> int:
        if type(value) is int:
            return value
        return scale(((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond)

    return Logical(Annotated[int, Meta(ge=0, lt=scale(_DAY_MICROS))] | Annotated[time, Meta(tz=False)], convert, plain)


def _decimal(schema: Mapping[str, Any]) -> Logical:
    precision, scale = int(schema["precision"]), int(schema.get("scale", 0))
    context = Context(prec=precision, traps=[Inexact, InvalidOperation, Overflow])
    unit = Decimal(1).scaleb(-scale)

    def convert(value: Decimal) -> Decimal:
        if not value.is_finite():
            raise Unfit(f"expected decimal, got {value}")
        try:
            return value.quantize(unit, context=context)
        except DecimalException:
            raise Unfit(f"expected decimal({precision},{scale}), got {str(value)[:60]}") from None

    return Logical(Decimal, convert, schema)
