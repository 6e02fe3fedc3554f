"""One payload schema, compiled: JSON bytes to the dict that fastavro writes, or SchemaMismatch with the path of what is wrong.

msgspec decodes typed, straight from the bytes, and refuses unknown and missing fields; a field with a default may be missing. Only the
fields whose form differs between JSON and Avro are touched again. A key that stands twice in one object counts with its last value
(what msgspec, and every parser in its default, does).
Unions: `[null, T]` is T or null; of other unions the first branch that fits is taken, in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw

from hourmark.errors import SchemaMismatch

from .explain import escape, explain
from .logical import INT64, Convert, logical

FLOAT32_MAX: Final = 3.4028234663852886e38
PRIMITIVES: Final[Mapping[str, Any]] = {
    "null": None,
    "boolean": bool,
    "int": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    "long": Annotated[int, Meta(ge=INT64[0], le=INT64[1])],
    "float": Annotated[float, Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)],
    "double": float,
    "bytes": bytes,
    "string": str,
}


class Shape(NamedTuple):
    """How values of one Avro schema are taken. `convert` None: what msgspec decodes is what is written.

    `marked`: values name the branches of a union somewhere inside. fastavro cannot find such a value's own branch, so that is named too.
    """

    type: Any
    convert: Convert | None
    avro: Any
    marked: bool = False


class PayloadReader:
    """`read(raw)` gives the dict for fastavro under `fields` (the schemas to write it with). Built once per schema version."""

    def __init__(self, name: str, fields: list[Mapping[str, Any]]) -> None:
        """`fields`: as fastavro.parse_schema gives them, names resolved. Raises ValueError for what no declaration may hold."""
        self._schema = {"type": "record", "name": name, "fields": fields}
        shape = _Compiler().shape(self._schema)
        self.fields: list[Mapping[str, Any]] = shape.avro["fields"]
        self._decode: Callable[[Raw], Any] = msgspec.json.Decoder(shape.type).decode
        self._convert: Convert = shape.convert or msgspec.structs.asdict

    def read(self, raw: Raw) -> dict[str, Any]:
        """Raises SchemaMismatch; its path starts at /payload."""
        try:
            return self._convert(self._decode(raw))  # type: ignore[no-any-return]  # a record converts to a dict
        except msgspec.ValidationError as exc:
            raise explain(exc, self._schema) from None
        except (msgspec.DecodeError, RecursionError, UnicodeError) as exc:
            raise SchemaMismatch(f"the payload is not readable: {exc}", path="/payload") from None
        except SchemaMismatch as exc:
            exc.path = f"/payload{exc.path}"
            raise


class _Compiler:
    """Walks one schema; remembers its named types, which later fields may refer to by name."""

    def __init__(self) -> None:
        self._named: dict[str, Shape | None] = {}

    def shape(self, schema: Any) -> Shape:
        if isinstance(schema, str):
            return self._by_name(schema)
        if isinstance(schema, list):
            return self._union(schema)
        found = logical(schema)
        kind = schema["type"]
        if kind in ("record", "enum", "fixed"):
            name = schema["name"]
            self._named[name] = None
            shape = Shape(*found) if found else getattr(self, f"_{kind}")(schema)
            self._named[name] = shape._replace(avro=name)
            return shape
        if found:
            return Shape(*found)
        if kind == "array":
            return self._array(self.shape(schema["items"]))
        if kind == "map":
            return self._map(self.shape(schema["values"]))
        return self.shape(kind)

    def _by_name(self, name: str) -> Shape:
        if name in PRIMITIVES:
            return Shape(PRIMITIVES[name], None, name)
        shape = self._named.get(name)
        if shape is None:
            raise ValueError(f"the schema refers to {name}, which is {'recursive' if name in self._named else 'not defined'}")
        return shape

    def _record(self, schema: Mapping[str, Any]) -> Shape:
        fields: list[Any] = []
        converts: list[tuple[str, Convert]] = []
        avro: list[Any] = []
        marked = False
        for field in schema["fields"]:
            name, shape = field["name"], self.shape(field["type"])
            marked |= shape.marked
            avro.append({"name": name, "type": shape.avro})
            convert = shape.convert
            if "default" not in field:
                fields.append((name, shape.type))
            else:
                default = avro_default(field["type"], field["default"])
                if convert is None and not isinstance(default, (list, dict)):
                    fields.append((name, shape.type, default))
                else:
                    fields.append((name, shape.type, UNSET))
                    convert = _or_default(default, convert)
            if convert is not None:
                converts.append((name, convert))
        kind = msgspec.defstruct("Payload", fields, forbid_unknown_fields=True, gc=False, kw_only=True)
        return Shape(kind, _record_convert(converts), {"type": "record", "name": schema["name"], "fields": avro}, marked)

    def _enum(self, schema: Mapping[str, Any]) -> Shape:
        return Shape(Literal[tuple(schema["symbols"])], None, dict(schema))

    def _fixed(self, schema: Mapping[str, Any]) -> Shape:
        return Shape(Annotated[bytes, Meta(min_length=schema["size"], max_length=schema["size"])], None, dict(schema))

    def _array(self, items: Shape) -> Shape:
        avro = {"type": "array", "items": items.avro}
        return Shape(list[items.type], _each(items.convert) if items.convert else None, avro, items.marked)  # type: ignore[name-defined]  # built at run time

    def _map(self, values: Shape) -> Shape:
        avro = {"type": "map", "values": values.avro}
        return Shape(dict[str, values.type], _each_value(values.convert) if values.convert else None, avro, values.marked)  # type: ignore[name-defined]  # built at run time

    def _union(self, branches: list[Any]) -> Shape:
        others = [branch for branch in branches if branch != "null"]
        if len(others) == 1 and len(branches) == 2:
            shape = self.shape(others[0])
            convert = None if shape.convert is None else _or_none(shape.convert, _tuple_name(shape.avro) if shape.marked else "")
            return Shape(shape.type | None, convert, ["null" if branch == "null" else shape.avro for branch in branches], shape.marked)
        shapes = [self.shape(branch) for branch in branches]
        tries = [
            (_tuple_name(branch), msgspec.json.Decoder(shape.type).decode, shape.convert)
            for branch, shape in zip(branches, shapes, strict=True)
        ]
        return Shape(Raw, _first_fit(tries), [shape.avro for shape in shapes], marked=True)


def _record_convert(converts: list[tuple[str, Convert]]) -> Convert:
    asdict = msgspec.structs.asdict
    if not converts:
        return asdict

    def convert(value: Any) -> dict[str, Any]:
        found = asdict(value)
        name = ""
        try:
            for name, change in converts:
                found[name] = change(found[name])
        except SchemaMismatch as exc:
            exc.path = f"/{name}{exc.path}"
            raise
        return found

    return convert


def _or_default(default: Any, convert: Convert | None) -> Convert:
    if convert is None:
        return lambda value: default if value is UNSET else value
    return lambda value: default if value is UNSET else convert(value)


def _or_none(convert: Convert, branch: str) -> Convert:
    if branch:
        return lambda value: None if value is None else (branch, convert(value))
    return lambda value: None if value is None else convert(value)


def _each(convert: Convert) -> Convert:
    def each(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        try:
            for value in values:
                found.append(convert(value))
        except SchemaMismatch as exc:
            exc.path = f"/{len(found)}{exc.path}"
            raise
        return found

    return each


def _each_value(convert: Convert) -> Convert:
    def each(values: dict[str, Any]) -> dict[str, Any]:
        name, found = "", {}
        try:
            for name, value in values.items():
                found[name] = convert(value)
        except SchemaMismatch as exc:
            exc.path = f"/{escape(name)}{exc.path}"
            raise
        return found

    return each


def _first_fit(tries: Sequence[tuple[str, Callable[[Raw], Any], Convert | None]]) -> Convert:
    """fastavro takes (name of the branch, value) and writes just that branch."""

    def convert(raw: Raw) -> Any:
        for name, decode, change in tries:
            try:
                value = decode(raw)
                return (name, value if change is None else change(value))
            except (msgspec.ValidationError, SchemaMismatch):
                continue
        raise SchemaMismatch(f"expected one of {', '.join(name for name, _, _ in tries)}")

    return convert


def _tuple_name(branch: Any) -> str:
    """The name by which fastavro finds a branch: full name of a named type, else its type."""
    if isinstance(branch, str):
        return branch
    return str(branch["name"] if branch["type"] in ("record", "enum", "fixed") else branch["type"])


def avro_default(schema: Any, value: Any) -> Any:
    """A field's default (JSON, in Avro's form) as the value that fastavro writes."""
    if isinstance(schema, list):
        if value is None and "null" in schema:
            return None
        return avro_default(schema[0], value) if len(schema) <= 2 else (_tuple_name(schema[0]), avro_default(schema[0], value))
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("bytes", "fixed"):
        return value.encode("latin-1")
    if kind == "array":
        return [avro_default(schema["items"], item) for item in value]
    if kind == "map":
        return {name: avro_default(schema["values"], item) for name, item in value.items()}
    if kind == "record":
        return {field["name"]: avro_default(field["type"], value.get(field["name"], field.get("default"))) for field in schema["fields"]}
    return value
