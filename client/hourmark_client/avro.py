"""From a payload's JSON to the bytes on `raw.<type>`: the same values, checks and bytes as a receiver gives for the same JSON.

A wire schema is compiled once into types that msgspec decodes JSON into, strictly (unknown fields, wrong types and numbers out of range are
faults that name their place); what comes out is what fastavro writes. Unions of several types take the first type that fits, whole numbers
before broken ones, as they stand otherwise.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import fastavro
import msgspec
from msgspec import Meta

from .ids import id_bytes
from .notices import Held
from .transport import Sender
from .verdicts import Outcome, rejected

Json = Any
FRAME: Final = struct.Struct(">BI")

_INT: Final = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_LONG: Final = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_FLOAT_MAX: Final = 3.4028234663852886e38
_AWARE: Final = Annotated[datetime, Meta(tz=True)]
_LOCAL: Final = Annotated[datetime, Meta(tz=False)]
_CLOCK: Final = Annotated[time, Meta(tz=False)]

_PRIMITIVES: Final[Mapping[str, Any]] = {
    "null": None,
    "boolean": bool,
    "int": _INT,
    "long": _LONG,
    "float": Annotated[float, Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)],
    "double": float,
    "bytes": bytes,
    "string": str,
}
_LOGICAL: Final[Mapping[tuple[str, str], Any]] = {
    ("int", "date"): _INT | date,
    ("int", "time-millis"): _INT | _CLOCK,
    ("long", "time-micros"): _LONG | _CLOCK,
    ("long", "timestamp-millis"): _LONG | _AWARE,
    ("long", "timestamp-micros"): _LONG | _AWARE,
    ("long", "local-timestamp-millis"): _LONG | _LOCAL,
    ("long", "local-timestamp-micros"): _LONG | _LOCAL,
    ("string", "uuid"): UUID,
    ("bytes", "decimal"): Decimal,
    ("fixed", "decimal"): Decimal,
}
_RANK: Final[Mapping[str, int]] = {"boolean": 0, "int": 1, "long": 2, "float": 3, "double": 4}

Plain = Callable[[Any], Any]


class Mismatch(Exception):
    """The payload does not fit the schema: `path` in the event, `detail` in words."""

    def __init__(self, detail: str, path: str = "/payload") -> None:
        super().__init__(f"{path}: {detail}")
        self.detail = detail
        self.path = path


class _Node(NamedTuple):
    """What msgspec decodes into, and how to make of that what fastavro writes (None: it is that already)."""

    type: Any
    plain: Plain | None = None


class _Compiler:
    """One schema's compilation; knows the named types met so far."""

    def __init__(self) -> None:
        self._named: dict[str, _Node] = {}

    def node(self, avro: Json, space: str) -> _Node:
        if isinstance(avro, list):
            return self._union(avro, space)
        if isinstance(avro, str):
            return _Node(_PRIMITIVES[avro]) if avro in _PRIMITIVES else self._named[_full(avro, space)]
        kind, logical = avro["type"], avro.get("logicalType")
        if kind in ("record", "enum", "fixed"):
            name = _full(avro["name"], avro.get("namespace", space))
            made = self._named[name] = self._define(avro, name)
            return made
        if kind == "array":
            return _each(self.node(avro["items"], space), list)
        if kind == "map":
            return _each(self.node(avro["values"], space), dict)
        if isinstance(kind, str) and (kind, logical) in _LOGICAL:
            return _Node(_LOGICAL[kind, logical])
        return self.node(kind, space)

    def _define(self, avro: Json, name: str) -> _Node:
        if avro["type"] == "enum":
            return _Node(Literal[tuple(avro["symbols"])])
        if avro["type"] == "fixed":
            if avro.get("logicalType") == "decimal":
                return _Node(Decimal)
            return _Node(Annotated[bytes, Meta(min_length=avro["size"], max_length=avro["size"])])
        return self.record(avro["fields"], name)

    def record(self, fields: Json, name: str) -> _Node:
        """A record of these fields: decoded into a struct that refuses others, written from a dict."""
        space, _, short = name.rpartition(".")
        made = []
        plains: dict[str, Plain] = {}
        for field in fields:
            node = self.node(field["type"], space)
            if node.plain is not None:
                plains[field["name"]] = node.plain
            made.append((field["name"], node.type, *_default(field, node)))
        kind = msgspec.defstruct(short, made, kw_only=True, forbid_unknown_fields=True)
        if not plains:
            return _Node(kind, msgspec.structs.asdict)

        def plain(value: Any) -> Any:
            record = msgspec.structs.asdict(value)
            for field_name, make in plains.items():
                record[field_name] = make(record[field_name])
            return record

        return _Node(kind, plain)

    def _union(self, branches: list[Json], space: str) -> _Node:
        others = [branch for branch in branches if branch != "null"]
        nodes = [(branch, self.node(branch, space)) for branch in others]
        nullable = len(others) < len(branches)
        if len(nodes) == 1:
            node = nodes[0][1]
            if not nullable:
                return node
            make = node.plain
            return _Node(node.type | None, make and (lambda value: None if value is None else make(value)))
        nodes.sort(key=lambda pair: _RANK.get(pair[0], 5) if isinstance(pair[0], str) else 5)

        def resolve(value: Any) -> Any:
            if value is None and nullable:
                return None
            for branch, node in nodes:
                try:
                    typed = msgspec.convert(value, node.type)
                except msgspec.ValidationError:
                    continue
                made = node.plain(typed) if node.plain else typed
                named = isinstance(branch, dict) and branch["type"] in ("record", "enum", "fixed")
                if isinstance(branch, str):
                    return (branch if branch in _PRIMITIVES else _full(branch, space), made)
                return (_full(branch["name"], branch.get("namespace", space)), made) if named else made
            raise Mismatch(f"{type(value).__name__} fits no type of the union")

        return _Node(Any, resolve)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _each(node: _Node, container: type) -> _Node:
    make = node.plain
    if container is list:
        return _Node(list[node.type], make and (lambda items: [make(item) for item in items]))  # type: ignore[name-defined]  # a computed type
    return _Node(dict[str, node.type], make and (lambda items: {key: make(item) for key, item in items.items()}))  # type: ignore[name-defined]  # same


def _default(field: Json, node: _Node) -> tuple[Any, ...]:
    """What stands for a missing field: nothing (it is required), or the schema's default."""
    if "default" not in field:
        return ()
    json = msgspec.json.encode(field["default"])
    msgspec.json.decode(json, type=node.type)  # a default that does not fit is found when the schema is compiled
    return (msgspec.field(default_factory=lambda: msgspec.json.decode(json, type=node.type)),) if json != b"null" else (None,)


class WireEncoder:
    """Encodes one event type's payloads with one wire schema. Not thread-safe."""

    def __init__(self, wire_schema: Json, schema_id: int, key: str | None = None) -> None:
        name = _full(wire_schema["name"], wire_schema.get("namespace", ""))
        compiler = _Compiler()
        fields = [field for field in wire_schema["fields"] if not field["name"].startswith("_")]
        kind, plain = compiler.record(fields, name)
        self._decoder = msgspec.json.Decoder(kind)
        self._plain: Plain = plain or msgspec.structs.asdict
        self._schema = fastavro.parse_schema(wire_schema)
        self._frame = FRAME.pack(0, schema_id)
        self._key = key

    def encode(self, held: Held, sender: Sender, now_us: int) -> tuple[bytes, bytes]:
        """(key, value) of the record on the raw topic. Raises Mismatch."""
        try:
            record = self._plain(self._decoder.decode(held.payload))
        except msgspec.DecodeError as exc:
            raise _mismatch(str(exc)) from None
        raw_id = id_bytes(held.event_id)
        record["_event_id"] = raw_id
        record["_event_time"] = held.time_us
        record["_sent_at"] = record["_received_at"] = now_us
        record["_sdk"] = sender.sdk
        record["_sdk_version"] = sender.sdk_version
        record["_app"] = sender.app
        record["_install_id"] = sender.install
        record["_sequence"] = held.sequence
        record["_attempt"] = held.attempt
        out = BytesIO()
        out.write(self._frame)
        try:
            fastavro.schemaless_writer(out, self._schema, record)
        except (ValueError, TypeError, ArithmeticError, struct.error) as exc:
            raise Mismatch(str(exc)) from exc
        return (raw_id if self._key is None else _key_bytes(record.get(self._key), raw_id)), out.getvalue()


def _key_bytes(value: Any, otherwise: bytes) -> bytes:
    """The key that a declared key field gives: text as UTF-8, numbers as decimal text, nothing as the event id."""
    if isinstance(value, tuple):
        value = value[1]
    if value is None:
        return otherwise
    return value if isinstance(value, bytes) else str(value).encode()


_PLACE: Final = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")


def _mismatch(message: str) -> Mismatch:
    """msgspec's words, its `$.a[0].b` as `/payload/a/0/b`."""
    found = _PLACE.search(message)
    path = "/payload" + re.sub(r"[.\[]", "/", found[1].replace("[...]", "").replace("]", "")) if found else "/payload"
    unknown = _UNKNOWN.search(message)
    if unknown:
        path += "/" + unknown[1]
    return Mismatch(message[: found.start()] if found else message, path)


def refusal(mismatch: Mismatch) -> Outcome:
    """The verdict for a payload that does not fit."""
    return rejected("schema_mismatch", mismatch.detail, mismatch.path)
