"""From a wire schema's reading to the nodes that read it by columns, and made-up events on which such nodes prove themselves."""

from __future__ import annotations

import decimal
import io
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
from fastavro import schemaless_writer

from hourmark.event import frame

from .arrow import Shape
from .decimals import Decimal
from .nodes import Boolean, Enum, Fixed, Float, Integer, Node, Null, Optional, Record, Repeated, Text, Union, Unsupported

SAMPLES: Final = 32
SEED: Final = 4
Named = dict[str, Mapping[str, Any]]

_LEAVES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Node]]] = {
    "null": lambda kind, _: Null(kind),
    "boolean": lambda kind, _: Boolean(kind),
    "int": lambda kind, _: Integer(kind),
    "long": lambda kind, _: Integer(kind),
    "float": lambda kind, _: Float(kind),
    "double": lambda kind, _: Float(kind),
    "string": lambda kind, _: Text(kind),
    "bytes": lambda kind, _: Decimal(kind, None) if pa.types.is_decimal(kind) else Text(kind),
    "fixed": lambda kind, avro: (Decimal if pa.types.is_decimal(kind) else Fixed)(kind, avro["size"]),
    "enum": lambda kind, avro: Enum(kind, avro["symbols"]),
}


def nodes_of(shape: Shape) -> list[Node]:
    """One node for each column of the wire schema. Raises Unsupported."""
    named: Named = {}
    fields = shape.reading["fields"]
    return [_compile(field["type"], column.built, named) for field, column in zip(fields, shape.columns, strict=True)]


def _compile(reading: Any, kind: Any, named: Named) -> Node:
    """`kind`: the Arrow type that the values become. `named`: types defined so far, filled on the way."""
    if isinstance(reading, list):
        return _union(reading, kind, named)
    avro = _resolve(reading, named)
    name = avro["type"]
    if name == "record":
        return Record(kind, [_compile(field["type"], kind.field(at).type, named) for at, field in enumerate(avro["fields"])])
    if name == "array":
        items = pa.struct([kind.key_field, kind.item_field]) if pa.types.is_map(kind) else kind.value_type
        return Repeated(kind, _compile(avro["items"], items, named))
    if name not in _LEAVES:
        raise Unsupported(f"a type {name!r}")
    return _LEAVES[name](kind, avro)


def _resolve(reading: Any, named: Named) -> Mapping[str, Any]:
    if isinstance(reading, str):
        return named.get(reading) or {"type": reading}
    if "name" in reading:
        named[reading["name"]] = reading
    found: Mapping[str, Any] = reading
    return found


def _union(reading: list[Any], kind: Any, named: Named) -> Node:
    others = [branch for branch in reading if branch != "null"]
    if not others:
        raise Unsupported("a union of nothing but null")
    if len(others) == 1:
        return Optional(_compile(others[0], kind, named), [branch != "null" for branch in reading])
    members: list[Node] = []
    branches: list[int | None] = []
    for branch in reading:
        if branch == "null":
            branches.append(None)
            continue
        branches.append(len(members))
        (field,) = branch["fields"]  # see arrow.py: each branch is read as a record of one field
        members.append(_compile(field["type"], kind.field(len(members)).type, named))
    return Union(kind, members, branches)


def samples(shape: Shape) -> list[bytes]:
    """Framed events of this schema, made up; each one whole, then cut short or with a byte too many."""
    head, chance = frame(shape.schema_id), random.Random(SEED)
    values = []
    for number in range(SAMPLES):
        out = io.BytesIO()
        schemaless_writer(out, shape.reading, _made_up(shape.reading, {}, chance))
        whole = head + out.getvalue()
        values += [whole, whole + b"\0" if number % 2 else whole[:-1]]
    return values


_MADE_UP: Final[Mapping[str, Callable[[random.Random, Mapping[str, Any]], Any]]] = {
    "null": lambda chance, _: None,
    "boolean": lambda chance, _: chance.random() < 0.5,
    "int": lambda chance, _: chance.randint(-1, 1) << chance.randrange(31),
    "long": lambda chance, _: chance.randint(-1, 1) << chance.randrange(63),
    "float": lambda chance, _: float(chance.randint(-9, 9)),
    "double": lambda chance, _: float(chance.randint(-9, 9)),
    "string": lambda chance, _: chance.choice(("", "a", "\u00fc\U0001f434", "x" * 70)),
    "bytes": lambda chance, _: chance.randbytes(chance.randrange(5)),
    "fixed": lambda chance, avro: chance.randbytes(avro["size"]),
    "enum": lambda chance, avro: chance.choice(avro["symbols"]),
}


def _made_up(reading: Any, named: Named, chance: random.Random) -> Any:
    """A value of a type of `Shape.reading`, as fastavro writes it."""
    if isinstance(reading, list):
        branch = chance.choice(reading)
        value = _made_up(branch, named, chance)
        return (branch["name"], value) if len(reading) > 2 and isinstance(branch, dict) else value
    avro = _resolve(reading, named)
    if avro.get("logicalType") == "decimal":
        return decimal.Decimal(chance.randint(-9, 9)).scaleb(-avro["scale"])
    if avro["type"] == "record":
        return {field["name"]: _made_up(field["type"], named, chance) for field in avro["fields"]}
    if avro["type"] == "array":
        return [_made_up(avro["items"], named, chance) for _ in range(chance.randrange(3))]
    return _MADE_UP[avro["type"]](chance, avro)
