"""From a payload's JSON to the bytes on `raw.<type>`: the same values, checks and bytes as a receiver gives for the same JSON.

A wire schema is compiled once: into a type that msgspec decodes JSON into, strictly (unknown and missing fields, wrong types and numbers
out of range are faults that name their place), and into a bare schema that fastavro writes with. Of a union of several types the first
branch that fits is taken.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Annotated, Any, Final, Literal, NamedTuple

import fastavro
import msgspec
from msgspec import Meta, Raw

from .envelope import SentBlock, check_envelope, envelope_bytes
from .ids import id_bytes
from .logical import Convert, Unfit, logical
from .notices import Held
from .verdicts import Outcome, rejected

Json = Any
FRAME: Final = struct.Struct(">BI")

_FLOAT_MAX: Final = 3.4028234663852886e38
_PRIMITIVES: Final[Mapping[str, Any]] = {
    "null": None,
    "boolean": bool,
    "int": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    "long": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    "float": Annotated[float, Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)],
    "double": float,
    "bytes": bytes,
    "string": str,
}


class Mismatch(Exception):
    """The payload does not fit the schema: `path` in the event, `detail` in words."""

    def __init__(self, detail: str, path: str = "/payload") -> None:
        super().__init__(f"{path}: {detail}")
        self.detail = detail
        self.path = path

    def outcome(self) -> Outcome:
        """The verdict."""
        return rejected("schema_mismatch", self.detail, self.path)


class _Node(NamedTuple):
    """`type`: what msgspec decodes. `convert`: that to what is written (None: it is that already). `avro`: the schema to write it with."""

    type: Any
    convert: Convert | None
    avro: Json


class _Compiler:
    """One schema's compilation; knows the named types met so far."""

    def __init__(self) -> None:
        self._named: dict[str, _Node] = {}

    def node(self, avro: Json, space: str) -> _Node:
        if isinstance(avro, list):
            return self._union(avro, space)
        if isinstance(avro, str):
            return _Node(_PRIMITIVES[avro], None, avro) if avro in _PRIMITIVES else self._named[_full(avro, space)]
        kind = avro["type"]
        if kind in ("record", "enum", "fixed"):
            name = _full(avro["name"], avro.get("namespace", space))
            made = self._define({**avro, "name": name}, name)
            self._named[name] = made._replace(avro=name)
            return made
        found = logical(avro)
        if found is not None:
            return _Node(*found)
        if kind == "array":
            items = self.node(avro["items"], space)
            return _Node(list[items.type], _each(items.convert), {"type": "array", "items": items.avro})  # type: ignore[name-defined]  # a computed type
        if kind == "map":
            values = self.node(avro["values"], space)
            return _Node(dict[str, values.type], _each_value(values.convert), {"type": "map", "values": values.avro})  # type: ignore[name-defined]  # same
        return self.node(kind, space)

    def _define(self, avro: Json, name: str) -> _Node:
        found = logical(avro)
        if found is not None:
            return _Node(*found)
        if avro["type"] == "enum":
            return _Node(Literal[tuple(avro["symbols"])], None, avro)
        if avro["type"] == "fixed":
            return _Node(Annotated[bytes, Meta(min_length=avro["size"], max_length=avro["size"])], None, avro)
        return self.record(avro["fields"], name)

    def record(self, fields: Json, name: str) -> _Node:
        """A record of these fields: decoded into a struct that refuses others, converted to a dict."""
        space, _, short = name.rpartition(".")
        made, bare = [], []
        converts: dict[str, Convert] = {}
        for field in fields:
            node = self.node(field["type"], space)
            bare.append({"name": field["name"], "type": node.avro})
            if node.convert is not None:
                converts[field["name"]] = node.convert
            made.append((field["name"], node.type, *_default(field, node)))
        kind = msgspec.defstruct(short, made, kw_only=True, forbid_unknown_fields=True)
        return _Node(kind, _record(converts), {"type": "record", "name": name, "fields": bare})

    def _union(self, branches: list[Json], space: str) -> _Node:
        nodes = [self.node(branch, space) for branch in branches]
        bare = [node.avro for node in nodes]
        others = [node for branch, node in zip(branches, nodes, strict=True) if branch != "null"]
        if len(others) == 1 and len(branches) == 2:
            convert = others[0].convert
            return _Node(others[0].type | None, convert and (lambda value: None if value is None else convert(value)), bare)
        tries = [(_branch_name(node.avro), msgspec.json.Decoder(node.type).decode, node.convert) for node in nodes]
        return _Node(Raw, _first_fit(tries), bare)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _branch_name(avro: Json) -> str:
    """The name by which fastavro finds a branch: full name of a named type, else its type."""
    if isinstance(avro, str):
        return avro
    return str(avro["name"] if avro["type"] in ("record", "enum", "fixed") else avro["type"])


def _record(converts: Mapping[str, Convert]) -> Convert:
    asdict = msgspec.structs.asdict
    if not converts:
        return asdict

    def convert(value: Any) -> dict[str, Any]:
        record = asdict(value)
        for name, change in converts.items():
            try:
                record[name] = change(record[name])
            except (Mismatch, Unfit) as exc:
                raise _below(name, exc) from None
        return record

    return convert


def _each(convert: Convert | None) -> Convert | None:
    def each(values: list[Any]) -> list[Any]:
        assert convert is not None
        made = []
        for number, value in enumerate(values):
            try:
                made.append(convert(value))
            except (Mismatch, Unfit) as exc:
                raise _below(str(number), exc) from None
        return made

    return convert and each


def _each_value(convert: Convert | None) -> Convert | None:
    def each(values: dict[str, Any]) -> dict[str, Any]:
        assert convert is not None
        made = {}
        for name, value in values.items():
            try:
                made[name] = convert(value)
            except (Mismatch, Unfit) as exc:
                raise _below(name.replace("~", "~0").replace("/", "~1"), exc) from None
        return made

    return convert and each


def _below(step: str, exc: Mismatch | Unfit) -> Mismatch:
    return Mismatch(exc.detail, f"/{step}{exc.path}") if isinstance(exc, Mismatch) else Mismatch(str(exc), f"/{step}")


def _first_fit(tries: Sequence[tuple[str, Callable[[Raw], Any], Convert | None]]) -> Convert:
    """fastavro takes (name of the branch, value) and writes just that branch."""

    def convert(raw: Raw) -> Any:
        for name, decode, change in tries:
            try:
                value = decode(raw)
                return (name, value if change is None else change(value))
            except (msgspec.ValidationError, Mismatch, Unfit):
                continue
        raise Mismatch(f"expected one of {', '.join(name for name, _, _ in tries)}", "")

    return convert


def _default(field: Json, node: _Node) -> tuple[Any, ...]:
    """What stands for a missing field: nothing (it is required), or the schema's default."""
    if "default" not in field:
        return ()
    json = msgspec.json.encode(field["default"])
    msgspec.json.decode(json, type=node.type)  # a default that does not fit is found when the schema is compiled
    return (msgspec.field(default_factory=lambda: msgspec.json.decode(json, type=node.type)),) if json != b"null" else (_null(node),)


def _null(node: _Node) -> Any:
    return Raw(b"null") if node.type is Raw else None


class WireEncoder:
    """Encodes one event type's payloads with one wire schema. Raises KeyError, TypeError or ValueError for a schema it cannot use."""

    def __init__(self, wire_schema: Json, schema_id: int, key: str | None = None) -> None:
        name = _full(wire_schema["name"], wire_schema.get("namespace", ""))
        check_envelope(wire_schema["fields"])
        payload = _Compiler().record([field for field in wire_schema["fields"] if not field["name"].startswith("_")], name)
        self._decode = msgspec.json.Decoder(payload.type).decode
        self._convert: Convert = payload.convert or msgspec.structs.asdict
        self._schema = fastavro.parse_schema(payload.avro)
        self._frame = FRAME.pack(0, schema_id)
        self._key = key

    def encode(self, held: Held, sent: SentBlock) -> tuple[bytes, bytes]:
        """(key, value) of the record on the raw topic. Raises Mismatch."""
        try:
            record = self._convert(self._decode(held.payload))
        except msgspec.DecodeError as exc:
            raise explain(str(exc)) from None
        except Mismatch as exc:
            raise Mismatch(exc.detail, f"/payload{exc.path}") from None
        raw_id = id_bytes(held.event_id)
        key = raw_id if self._key is None else _key_bytes(record.get(self._key), raw_id)
        out = BytesIO()
        out.write(self._frame + envelope_bytes(raw_id, held, sent))
        try:
            fastavro.schemaless_writer(out, self._schema, record)
        except (ValueError, TypeError, ArithmeticError, struct.error) as exc:
            raise Mismatch(str(exc)) from exc
        return key, out.getvalue()


def _key_bytes(value: Any, otherwise: bytes) -> bytes:
    """The key that a declared key field gives: text as UTF-8, numbers as decimal text, nothing as the event id."""
    if isinstance(value, tuple):
        value = value[1]
    if value is None:
        return otherwise
    return value if isinstance(value, bytes) else str(value).encode()


_FIELD: Final = re.compile(r"^Object (contains unknown|missing required) field `([^`]*)`")


def explain(message: str) -> Mismatch:
    """msgspec's words as a place and a reason: "… - at `$.a[0].b`" → /payload/a/0/b. Below a map's key it names the map."""
    text, _, where = message.partition(" - at `")
    where = where.removeprefix("key in `").removeprefix("$").rstrip("`").split("[...]")[0]
    path = "/payload" + re.sub(r"\[(\d+)\]", r".\1", where).replace(".", "/")
    field = _FIELD.match(text)
    if field is None:
        return Mismatch(text[:1].lower() + text[1:], path)
    return Mismatch("unknown field" if field[1].startswith("contains") else "missing field", f"{path}/{field[2]}")
