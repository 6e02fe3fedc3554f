"""Every Avro type becomes a column that all readers know, and comes back with the same values."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hourmark.event import frame
from sinks.arrow import HourSchema, join, shape_of
from sinks.decode import STAMPS, RowDecoder, Run
from sinks.parts import write_sorted
from tests.sinks.fakes import event_id, wire_schema

NAMED = {"type": "record", "name": "Inner", "namespace": "n", "fields": [{"name": "x", "type": "int"}]}
UTC = dt.UTC
CASES: list[tuple[str, Any, Any, Any]] = [
    ("boolean", "boolean", True, True),
    ("int", "int", -(2**31), -(2**31)),
    ("long", "long", 2**63 - 1, 2**63 - 1),
    ("float", "float", 0.5, 0.5),
    ("double", "double", 1e300, 1e300),
    ("bytes", "bytes", b"\0\xff", b"\0\xff"),
    ("string", "string", "žluťoučký 🐎", "žluťoučký 🐎"),
    ("optional_set", ["null", "string"], "x", "x"),
    ("optional_null", ["null", "long"], None, None),
    ("null_last", ["string", "null"], None, None),
    ("enum", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
    ("fixed", {"type": "fixed", "name": "F", "size": 3}, b"abc", b"abc"),
    ("uuid", {"type": "string", "logicalType": "uuid"}, "6f1c0b7e-0000-4000-8000-000000000000", "6f1c0b7e-0000-4000-8000-000000000000"),
    ("date", {"type": "int", "logicalType": "date"}, 20000, dt.date(2024, 10, 4)),
    ("time_millis", {"type": "int", "logicalType": "time-millis"}, 1500, dt.time(0, 0, 1, 500000)),
    ("time_micros", {"type": "long", "logicalType": "time-micros"}, 1500, dt.time(0, 0, 0, 1500)),
    ("ts_millis", {"type": "long", "logicalType": "timestamp-millis"}, 1500, dt.datetime(1970, 1, 1, 0, 0, 1, 500000, UTC)),
    ("ts_micros", {"type": "long", "logicalType": "timestamp-micros"}, 1500, dt.datetime(1970, 1, 1, 0, 0, 0, 1500, UTC)),
    ("ts_nanos", {"type": "long", "logicalType": "timestamp-nanos"}, 1500, dt.datetime(1970, 1, 1, 0, 0, 0, 1, UTC)),
    ("local", {"type": "long", "logicalType": "local-timestamp-millis"}, 1500, dt.datetime(1970, 1, 1, 0, 0, 1, 500000)),  # noqa: DTZ001
    ("decimal", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, Decimal("-12345.67"), Decimal("-12345.67")),
    ("decimal38", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0}, Decimal("9" * 38), Decimal("9" * 38)),
    (
        "fixed_decimal",
        {"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 18, "scale": 4},
        Decimal("1.5000"),
        Decimal("1.5000"),
    ),
    ("array", {"type": "array", "items": "int"}, [1, 2, 3], [1, 2, 3]),
    ("empty_array", {"type": "array", "items": "string"}, [], []),
    ("array_optional", {"type": "array", "items": ["null", "int"]}, [1, None], [1, None]),
    ("map", {"type": "map", "values": "int"}, {"a": 1, "b": 2}, [("a", 1), ("b", 2)]),
    ("empty_map", {"type": "map", "values": "int"}, {}, []),
    ("record", NAMED, {"x": 7}, {"x": 7}),
    ("optional_record", ["null", NAMED], None, None),
    ("array_record", {"type": "array", "items": NAMED}, [{"x": 1}, {"x": 2}], [{"x": 1}, {"x": 2}]),
    ("deep", {"type": "map", "values": {"type": "array", "items": ["null", NAMED]}}, {"k": [{"x": 1}, None]}, [("k", [{"x": 1}, None])]),
    ("union_string", ["null", "string", "long"], "s", {"string": "s", "long": None}),
    ("union_long", ["null", "string", "long"], 5, {"string": None, "long": 5}),
    ("union_null", ["null", "string", "long"], None, None),
    ("union_close", ["int", "long"], ("long", 2**40), {"int": None, "long": 2**40}),
    ("union_record", ["null", NAMED, "string"], {"x": 3}, {"Inner": {"x": 3}, "string": None}),
    (
        "union_time",
        ["null", {"type": "long", "logicalType": "timestamp-millis"}, "boolean"],
        dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        {"long": dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "boolean": None},
    ),
    (
        "nested_decimal",
        {"type": "array", "items": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}},
        [Decimal("1.5")],
        [Decimal("1.5")],
    ),
    ("array_time", {"type": "array", "items": {"type": "int", "logicalType": "time-millis"}}, [1500], [dt.time(0, 0, 1, 500000)]),
]


def decoded(avro: Any, given: Any) -> Any:
    schema = wire_schema("t.thing", 1, [{"name": "v", "type": avro}])
    table = RowDecoder().decode(shape_of(schema), run_of(schema, [given]))
    assert table.poison == []
    return table.tables[0]


def run_of(schema: Any, values: list[Any]) -> Run:
    framed = []
    for number, given in enumerate(values):
        out = io.BytesIO()
        out.write(frame(schema.schema_id))
        record = {"_event_id": event_id(number), "_event_time": number, "_sent_at": 0, "_received_at": 0, "_sdk": "s"}
        record |= {"_sdk_version": "1", "_app": "a", "_install_id": None, "_sequence": None, "_attempt": 1, "v": given}
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema.avro), record)
        framed.append(out.getvalue())
    stamps = np.zeros(len(framed), STAMPS)
    stamps["offset"] = np.arange(len(framed))
    return Run(b"".join(framed), np.cumsum([len(value) for value in framed]), stamps)


@pytest.mark.parametrize(("name", "avro", "given", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_value_survives(name: str, avro: Any, given: Any, expected: Any, tmp_path: Path) -> None:
    if name in ("ts_nanos",):
        plain = {"type": "long"}  # the same bytes, whatever fastavro thinks of nanoseconds
        schema = wire_schema("t.thing", 1, [{"name": "v", "type": avro}])
        table = RowDecoder().decode(shape_of(schema), run_of(wire_schema("t.thing", 1, [{"name": "v", "type": plain}]), [given])).tables[0]
    else:
        table = decoded(avro, given)
    assert table.column("v").to_pylist() == [expected]
    path = tmp_path / "v.parquet"
    with path.open("wb") as file:
        assert write_sorted([table], table.schema, file) == 1
    assert pa.parquet.read_table(path).column("v").to_pylist() == [expected]
    assert pa.parquet.read_table(path).schema.equals(table.schema)
    assert len(pd.read_parquet(path)) == 1
    assert duckdb.sql(f"select v from read_parquet('{path}')").fetchall()[0] is not None


def test_the_envelope_has_the_columns_of_the_contract() -> None:
    table = decoded("int", 1)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        "_event_id": "string",
        "_event_time": "timestamp[us, tz=UTC]",
        "_sent_at": "timestamp[us, tz=UTC]",
        "_received_at": "timestamp[us, tz=UTC]",
        "_sdk": "string",
        "_sdk_version": "string",
        "_app": "string",
        "_install_id": "string",
        "_sequence": "int64",
        "_attempt": "int32",
        "v": "int32",
        "_append_time": "timestamp[us, tz=UTC]",
        "_raw_partition": "int32",
        "_raw_offset": "int64",
        "_schema_id": "int32",
        "_skewed": "bool",
    }
    assert table.column("_event_id").to_pylist() == ["01950000-0000-7000-8000-000000000000"]


@pytest.mark.parametrize(
    "avro",
    ["Nobody", {"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}],
    ids=["undefined name", "recursion"],
)
def test_what_fits_no_lake_is_refused(avro: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        shape_of(wire_schema("t.thing", 1, [{"name": "v", "type": avro}]))


def test_a_name_can_be_used_again() -> None:
    fields = [{"name": "a", "type": NAMED}, {"name": "b", "type": ["null", "n.Inner"]}]
    shape = shape_of(wire_schema("t.thing", 1, fields))
    assert shape.stored["a"] == shape.stored["b"]


def test_one_schema_for_an_hour_of_two_versions() -> None:
    old = shape_of(
        wire_schema("t.thing", 1, [{"name": "gone", "type": "string"}, {"name": "n", "type": "int"}, {"name": "s", "type": NAMED}])
    )
    inner = {"type": "record", "name": "Inner", "fields": [{"name": "y", "type": "string"}]}
    fields = [
        {"name": "n", "type": "long"},
        {"name": "s", "type": inner},
        {"name": "fresh", "type": "string", "default": "none"},
        {"name": "opt", "type": ["null", "int"], "default": None},
    ]
    new = shape_of(wire_schema("t.thing", 2, fields, version=2))
    hour = HourSchema([new, old])
    names = hour.schema.names
    assert names[10:] == ["n", "s", "fresh", "opt", "gone", "_append_time", "_raw_partition", "_raw_offset", "_schema_id", "_skewed"]
    assert hour.schema.field("n").type == pa.int64()
    schema = wire_schema("t.thing", 1, [{"name": "gone", "type": "string"}, {"name": "n", "type": "int"}, {"name": "s", "type": NAMED}])
    framed = io.BytesIO()
    framed.write(frame(1))
    record = {"_event_id": event_id(1), "_event_time": 0, "_sent_at": 0, "_received_at": 0, "_sdk": "s", "_sdk_version": "1", "_app": "a"}
    record |= {"_install_id": None, "_sequence": None, "_attempt": 1, "gone": "g", "n": 5, "s": {"x": 4}}
    fastavro.schemaless_writer(framed, fastavro.parse_schema(schema.avro), record)
    run = Run(framed.getvalue(), np.array([len(framed.getvalue())]), np.zeros(1, STAMPS))
    (row,) = hour.conform(RowDecoder().decode(old, run).tables[0], 1).to_pylist()
    assert (row["n"], row["gone"], row["fresh"], row["opt"], row["s"]) == (5, "g", "none", None, {"x": 4, "y": None})


def test_types_that_cannot_be_joined_stand_side_by_side() -> None:
    old = shape_of(wire_schema("t.thing", 1, [{"name": "v", "type": "string"}]))
    new = shape_of(wire_schema("t.thing", 2, [{"name": "v", "type": "long"}], version=2))
    schema = HourSchema([new, old]).schema
    assert (schema.field("v").type, schema.field("v_1").type) == (pa.int64(), pa.string())


@pytest.mark.parametrize(
    ("a", "b", "joined"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.string(), pa.binary(), None),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        (pa.struct([("a", pa.int32())]), pa.struct([("b", pa.string())]), pa.struct([("a", pa.int32()), ("b", pa.string())])),
        (pa.struct([("a", pa.int32())]), pa.struct([("a", pa.string())]), None),
        (pa.map_(pa.string(), pa.int32()), pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.int64())),
    ],
)
def test_joining(a: Any, b: Any, joined: Any) -> None:
    assert join(a, b) == join(b, a) == joined or pa.types.is_struct(a)
    assert join(a, b) == joined
