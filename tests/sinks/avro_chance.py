"""Random Avro schemas, values that they allow, and broken bytes, all from one `random.Random`."""

from __future__ import annotations

import io
from itertools import count
from random import Random
from typing import Any

import fastavro

from hourmark.event import ID_END, frame
from hourmark.schemas import WireSchema
from tests.sinks.fakes import event_id, wire_schema

TEXTS = ("", "a", "žluť", "🐎" * 5, "x" * 63, "y" * 64, "z" * 300, "\0")
LONGS = (0, -1, 63, 64, -65, 2**31 - 1, -(2**31), 2**35, 2**55 - 1, 2**55, -(2**55), 2**62, 2**63 - 1, -(2**63))
INTS = (0, 1, -1, 63, 64, 8191, 8192, 2**31 - 1, -(2**31))
FLOATS = (0.0, -0.0, 1.5, float("inf"), float("-inf"), 1e-40)
LOGICAL = (
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("string", "uuid"),
)


class AvroChance:
    def __init__(self, chance: Random) -> None:
        self.chance, self._numbers = chance, count()

    def schema(self, schema_id: int, fields: list[Any], version: int = 1) -> WireSchema:
        return wire_schema("t.thing", schema_id, fields, version=version)

    def fields(self, most: int = 5) -> list[Any]:
        return [{"name": f"f{next(self._numbers)}", "type": self.type(3)} for _ in range(self.chance.randint(1, most))]

    def optional(self) -> Any:
        inner = self.type(2)
        return {"name": f"f{next(self._numbers)}", "type": inner if isinstance(inner, list) else ["null", inner], "default": None}

    def type(self, depth: int) -> Any:
        kinds = ["plain", "plain", "plain", "logical", "enum", "fixed", "decimal", "optional"]
        match self.chance.choice(kinds + (["record", "array", "map", "union"] if depth else [])):
            case "logical":
                kind, meaning = self.chance.choice(LOGICAL)
                return {"type": kind, "logicalType": meaning}
            case "enum":
                return {"type": "enum", "name": self._name(), "symbols": [f"S{n}" for n in range(self.chance.randint(1, 70))]}
            case "fixed":
                return {"type": "fixed", "name": self._name(), "size": self.chance.choice((1, 2, 7, 16, 40))}
            case "decimal":
                return self._decimal()
            case "optional":
                return self._union(depth, 1)
            case "record":
                return {
                    "type": "record",
                    "name": self._name(),
                    "fields": [self._member(n, depth) for n in range(self.chance.randint(1, 3))],
                }
            case "array":
                return {"type": "array", "items": self._some(depth)}
            case "map":
                return {"type": "map", "values": self.type(depth - 1)}
            case "union":
                return self._union(depth, self.chance.randint(2, 4))
        return self.chance.choice(("boolean", "int", "long", "float", "double", "bytes", "string"))

    def _name(self) -> str:
        return f"N{next(self._numbers)}"

    def _member(self, number: int, depth: int) -> Any:
        return {"name": f"m{number}", "type": self.type(depth - 1)}

    def _some(self, depth: int) -> Any:
        return self.type(depth - 1)

    def _decimal(self) -> Any:
        if self.chance.random() < 0.5:
            precision = self.chance.choice((1, 5, 18, 19, 20, 38))
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": self.chance.randint(0, precision)}
        size, precision = self.chance.choice(((1, 2), (4, 9), (8, 18), (12, 28), (16, 38)))
        return {"type": "fixed", "name": self._name(), "size": size, "logicalType": "decimal", "precision": precision, "scale": 1}

    def _union(self, depth: int, others: int) -> Any:
        branches: list[Any] = []
        for _ in range(others):
            branch = self.type(max(depth - 1, 0))
            while isinstance(branch, list) or any(_key(branch) == _key(other) for other in branches):
                branch = {"type": "fixed", "name": self._name(), "size": 3}
            branches.append(branch)
        if self.chance.random() < 0.8:
            branches.insert(self.chance.randint(0, len(branches)), "null")
        return branches

    # -- bytes

    def value(self, schema: WireSchema, number: int) -> bytes:
        """A framed event. Its bytes are written by hand: fastavro's writer has its own idea of logical types."""
        out = io.BytesIO()
        out.write(frame(schema.schema_id) + event_id(number))
        for field in schema.avro["fields"][1:]:
            self._write(out, field["type"])
        return out.getvalue()

    def broken(self, value: bytes) -> bytes:
        at = self.chance.randint(ID_END, len(value))
        match self.chance.randrange(8):
            case 0:
                return value[:at]
            case 1:
                return value + self.chance.randbytes(self.chance.randint(1, 12))
            case 2:
                return value + b"\0"
            case 3:
                return value[:at] + bytes([self.chance.randrange(256)]) + value[at + 1 :]
            case 4:
                return value[:at] + b"\x80" * self.chance.randint(1, 11) + value[at:]
            case 5:
                return value[:at] + b"\xff" * 9 + bytes([self.chance.choice((1, 2, 0x7F, 0xFF))]) + value[at:]
            case 6:
                return value[:at] + b"\xc3\x28" + value[at + 2 :]
        return value[:at] + self.chance.randbytes(3)

    def _write(self, out: io.BytesIO, avro: Any) -> None:
        if isinstance(avro, list):
            index = self.chance.randrange(len(avro))
            self._long(out, index)
            self._write(out, avro[index])
            return
        kind = avro if isinstance(avro, str) else avro["type"]
        if isinstance(kind, dict):
            self._write(out, kind)
            return
        if kind in ("array", "map"):
            self._blocks(out, avro)
        elif kind == "record":
            for field in avro["fields"]:
                self._write(out, field["type"])
        else:
            self._leaf(out, kind, avro)

    def _leaf(self, out: io.BytesIO, kind: str, avro: Any) -> None:
        match kind:
            case "boolean":
                out.write(self.chance.choice((b"\0", b"\1")))
            case "int":
                self._long(out, self.chance.choice(INTS))
            case "long":
                self._long(out, self.chance.choice(LONGS) if self.chance.random() < 0.5 else self.chance.randint(-(2**50), 2**50))
            case "float" | "double":
                fastavro.schemaless_writer(out, {"type": kind}, self.chance.choice(FLOATS))
            case "bytes":
                size = self.chance.choice((0, 1, 2, 8, 9, 15, 16)) if isinstance(avro, dict) else self.chance.choice((0, 3, 70))
                self._sized(out, self.chance.randbytes(size))
            case "string":
                self._sized(out, self.chance.choice(TEXTS).encode())
            case "fixed":
                out.write(self.chance.randbytes(avro["size"]))
            case "enum":
                self._long(out, self.chance.randrange(len(avro["symbols"])))

    def _blocks(self, out: io.BytesIO, avro: Any) -> None:
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            items, block = self.chance.choice((1, 2, 3, 5)), io.BytesIO()
            for _ in range(items):
                if avro["type"] == "map":
                    self._sized(block, self.chance.choice(TEXTS).encode())
                self._write(block, avro["items" if avro["type"] == "array" else "values"])
            if self.chance.random() < 0.3:
                self._long(out, -items)
                self._long(out, len(block.getvalue()))
            else:
                self._long(out, items)
            out.write(block.getvalue())
        out.write(b"\0")

    def _sized(self, out: io.BytesIO, data: bytes) -> None:
        self._long(out, len(data))
        out.write(data)

    def _long(self, out: io.BytesIO, value: int) -> None:
        fastavro.schemaless_writer(out, "long", value)


def _key(branch: Any) -> Any:
    """What may stand in a union only once."""
    if isinstance(branch, str):
        return branch
    return branch["name"] if "name" in branch else branch["type"]
