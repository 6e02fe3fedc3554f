"""From Avro wire schemas to Arrow: what each column is called and of what type it is, and one schema for a whole hour.

A union of several types becomes a struct with one nullable member per branch; a map stays a map; an enum becomes text; timestamps are
microseconds in UTC. Never nanoseconds, never the Null type, never an Arrow union: some reader of Parquet fails on each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import fastavro
import pyarrow as pa

from hourmark.event import ENVELOPE
from hourmark.schemas import WireSchema

UTC_MICROS: Final = pa.timestamp("us", "UTC")
STAMP_COLUMNS: Final[Mapping[str, Any]] = {
    "_append_time": UTC_MICROS,
    "_raw_partition": pa.int32(),
    "_raw_offset": pa.int64(),
    "_schema_id": pa.int32(),
    "_skewed": pa.bool_(),
}
SORT: Final = ("_event_time", "_raw_partition", "_raw_offset")

_PRIMITIVES: Final = {
    "null": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
# logical type → (as it is built from the plain integers, as it is stored)
_LOGICAL: Final = {
    ("int", "date"): (pa.date32(), pa.date32()),
    ("int", "time-millis"): (pa.time32("ms"), pa.time64("us")),
    ("long", "time-micros"): (pa.time64("us"), pa.time64("us")),
    ("long", "timestamp-millis"): (pa.timestamp("ms", "UTC"), UTC_MICROS),
    ("long", "timestamp-micros"): (UTC_MICROS, UTC_MICROS),
    ("long", "timestamp-nanos"): (pa.timestamp("ns", "UTC"), UTC_MICROS),
    ("long", "local-timestamp-millis"): (pa.timestamp("ms"), pa.timestamp("us")),
    ("long", "local-timestamp-micros"): (pa.timestamp("us"), pa.timestamp("us")),
    ("long", "local-timestamp-nanos"): (pa.timestamp("ns"), pa.timestamp("us")),
}
_WIDTH: Final = {pa.int32(): 1, pa.int64(): 2, pa.float32(): 3, pa.float64(): 4}


class Column(NamedTuple):
    """`built`: the type that decoded Python values fit; `stored`: the type in the lake."""

    name: str
    built: Any
    stored: Any
    default: Any


class Shape(NamedTuple):
    """What the decoder needs to know of one wire schema. `reading`: a fastavro schema with the same bytes but plain values."""

    schema_id: int
    version: int
    reading: Any
    columns: tuple[Column, ...]

    @property
    def stored(self) -> dict[str, Any]:
        """Columns of a part of this schema, in order: the wire schema's, then the stamp's."""
        return {column.name: column.stored for column in self.columns} | dict(STAMP_COLUMNS)


class _Typed(NamedTuple):
    reading: Any
    built: Any
    stored: Any


def shape_of(schema: WireSchema) -> Shape:
    """Compile a wire schema. Raises ValueError when it has what no lake can hold (recursion, an unknown name)."""
    compiler = _Compiler()
    fields, columns = [], []
    avro = schema.avro
    for field in avro["fields"]:
        typed = compiler.compile(field["type"], str(avro.get("namespace", "")))
        fields.append({"name": field["name"], "type": typed.reading})
        stored = pa.string() if field["name"] == "_event_id" else typed.stored
        columns.append(Column(field["name"], typed.built, stored, field.get("default")))
    missing = {field["name"] for field in ENVELOPE} - {column.name for column in columns}
    if missing:
        raise ValueError(f"schema {schema.schema_id} lacks the envelope fields {sorted(missing)}")
    reading = fastavro.parse_schema({"type": "record", "name": "hm_read.Event", "fields": fields})
    return Shape(schema.schema_id, schema.version, reading, tuple(columns))


class _Compiler:
    """One wire schema at a time: names that it has defined can be referred to."""

    def __init__(self) -> None:
        self._named: dict[str, _Typed | None] = {}
        self._numbers = count()

    def compile(self, avro: Any, namespace: str) -> _Typed:
        if isinstance(avro, list):
            return self._union(avro, namespace)
        if isinstance(avro, str):
            return self._name(avro, namespace)
        kind = avro["type"]
        if isinstance(kind, (dict, list)):
            return self.compile(kind, namespace)
        match kind:
            case "record" | "error":
                return self._record(avro, namespace)
            case "enum":
                return self._define(avro, namespace, {"symbols": avro["symbols"]}, pa.string())
            case "fixed":
                return self._fixed(avro, namespace)
            case "array":
                item = self.compile(avro["items"], namespace)
                return _Typed({"type": "array", "items": item.reading}, pa.list_(item.built), pa.list_(item.stored))
            case "map":
                return self._map(self.compile(avro["values"], namespace))
            case "bytes" if avro.get("logicalType") == "decimal":
                # More digits than declared must be seen, not rounded away: read with room to spare, refused by the Arrow type.
                decimal = pa.decimal128(avro["precision"], avro.get("scale", 0))
                return _Typed({"type": "bytes", "logicalType": "decimal", "precision": 76, "scale": decimal.scale}, decimal, decimal)
        built, stored = _LOGICAL.get((kind, avro.get("logicalType")), (None, None))
        return _Typed(kind, built, stored) if built is not None else self._name(kind, namespace)

    def _name(self, name: str, namespace: str) -> _Typed:
        if name in _PRIMITIVES:
            return _Typed(name, _PRIMITIVES[name], _PRIMITIVES[name])
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        found = self._named.get(full)
        if found is None:
            raise ValueError(f"the name {full} is {'recursive' if full in self._named else 'not defined'}")
        return found._replace(reading=full)

    def _define(self, avro: Mapping[str, Any], namespace: str, body: Mapping[str, Any], built: Any, stored: Any = None) -> _Typed:
        full = _full_name(avro, namespace)
        typed = _Typed({"type": avro["type"], "name": full, **body}, built, built if stored is None else stored)
        self._named[full] = typed
        return typed

    def _fixed(self, avro: Mapping[str, Any], namespace: str) -> _Typed:
        size = avro["size"]
        if avro.get("logicalType") != "decimal":
            return self._define(avro, namespace, {"size": size}, pa.binary(size))
        decimal = pa.decimal128(avro["precision"], avro.get("scale", 0))
        room = int(math.log10(2) * (8 * size - 1))
        body = {"size": size, "logicalType": "decimal", "precision": room, "scale": decimal.scale}
        return self._define(avro, namespace, body, decimal)

    def _record(self, avro: Mapping[str, Any], namespace: str) -> _Typed:
        full = _full_name(avro, namespace)
        self._named[full] = None
        fields = [(f["name"], self.compile(f["type"], full.rpartition(".")[0])) for f in avro["fields"]]
        reading = [{"name": name, "type": typed.reading} for name, typed in fields]
        built = pa.struct([(name, typed.built) for name, typed in fields])
        stored = pa.struct([(name, typed.stored) for name, typed in fields])
        return self._define({"type": "record", "name": full}, "", {"fields": reading}, built, stored)

    def _map(self, value: _Typed) -> _Typed:
        """In Avro a map is written like an array of (key, value) records, which Arrow's map takes as it is."""
        pair = {
            "type": "record",
            "name": self._unique(),
            "fields": [{"name": "key", "type": "string"}, {"name": "value", "type": value.reading}],
        }
        return _Typed({"type": "array", "items": pair}, pa.map_(pa.string(), value.built), pa.map_(pa.string(), value.stored))

    def _union(self, branches: Sequence[Any], namespace: str) -> _Typed:
        others = [b for b in branches if b != "null"]
        typed = {id(b): self.compile(b, namespace) for b in others}
        if len(others) == 1:
            only = typed[id(others[0])]
            return only._replace(reading=[b if b == "null" else only.reading for b in branches])
        # A record of one field is written like the field alone, so each branch can be read as {branch name: value}.
        names = _branch_names(others)
        reading: list[Any] = []
        for branch in branches:
            if branch == "null":
                reading.append("null")
            else:
                field = {"name": names[id(branch)], "type": typed[id(branch)].reading}
                reading.append({"type": "record", "name": self._unique(), "fields": [field]})
        built = pa.struct([(names[id(b)], typed[id(b)].built) for b in others])
        return _Typed(reading, built, pa.struct([(names[id(b)], typed[id(b)].stored) for b in others]))

    def _unique(self) -> str:
        return f"hm_read.T{next(self._numbers)}"


def _full_name(avro: Mapping[str, Any], namespace: str) -> str:
    name = str(avro["name"])
    if "." in name:
        return name
    space = avro.get("namespace", namespace)
    return f"{space}.{name}" if space else name


def _branch_names(branches: Sequence[Any]) -> dict[int, str]:
    """Struct members of a union: the type's own short name, with a number when two branches would share it (readers ignore case)."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for branch in branches:
        plain = branch if isinstance(branch, str) else str(branch.get("name") or branch["type"])
        name = plain = plain.rpartition(".")[2]
        for number in count(2):
            if name.lower() not in taken:
                break
            name = f"{plain}_{number}"
        taken.add(name.lower())
        names[id(branch)] = name
    return names


class HourSchema:
    """One Arrow schema for parts of several writer schemas, newest first: its columns and their order, then what older ones have besides.

    A column whose types cannot be joined keeps its newest type; the older one is stored beside it as `<name>_<schema id>`.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._columns: dict[str, Any] = {}
        self._names: dict[int, dict[str, str]] = {}
        self._defaults: dict[str, Any] = {c.name: c.default for c in shapes[0].columns if c.default is not None} if shapes else {}
        for shape in shapes:
            self._names[shape.schema_id] = {column.name: self._place(column, shape.schema_id) for column in shape.columns}
        self.schema = pa.schema(list((self._columns | dict(STAMP_COLUMNS)).items()))

    def _place(self, column: Column, schema_id: int) -> str:
        known = self._columns.get(column.name)
        joined = column.stored if known is None else join(known, column.stored)
        name = column.name if joined is not None else f"{column.name}_{schema_id}"
        self._columns[name] = column.stored if joined is None else joined
        return name

    def conform(self, table: Any, schema_id: int) -> Any:
        """A part's table in the hour's schema. Columns that it lacks get the newest schema's default, or null."""
        names = self._names[schema_id]
        have = {names.get(name, name): table.column(name) for name in table.column_names}
        columns = [
            _cast(have[field.name], field.type) if field.name in have else self._absent(field, table.num_rows) for field in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _absent(self, field: Any, rows: int) -> Any:
        default = self._defaults.get(field.name)
        if isinstance(default, (bool, int, float, str)) and not pa.types.is_binary(field.type):
            try:
                return pa.repeat(pa.scalar(default, type=field.type), rows)
            except (pa.ArrowException, TypeError):
                pass  # a default of a type that has no plain literal (decimal, fixed): null says "was not sent" as well
        return pa.nulls(rows, field.type)


def _cast(column: Any, kind: Any) -> Any:
    return column if column.type == kind else column.cast(kind)


def join(a: Any, b: Any) -> Any:
    """The type that holds values of both, or None when there is none."""
    if a == b:
        return a
    if a in _WIDTH and b in _WIDTH:
        return max(a, b, key=_WIDTH.__getitem__) if {a, b} != {pa.int64(), pa.float32()} else pa.float64()
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        return _join_structs(a, b)
    if pa.types.is_list(a) and pa.types.is_list(b):
        item = join(a.value_type, b.value_type)
        return None if item is None else pa.list_(item)
    if pa.types.is_map(a) and pa.types.is_map(b):
        item = join(a.item_type, b.item_type)
        return None if item is None else pa.map_(a.key_type, item)
    return None


def _join_structs(a: Any, b: Any) -> Any:
    members = {field.name: field.type for field in a}
    for field in b:
        joined = join(members[field.name], field.type) if field.name in members else field.type
        if joined is None:
            return None
        members[field.name] = joined
    return pa.struct(list(members.items()))
