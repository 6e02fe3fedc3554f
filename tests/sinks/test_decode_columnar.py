"""The columnar decoder against fastavro: the same rows in the same order, the same events refused, whatever the schema and the bytes."""

from __future__ import annotations

from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hourmark.event import ID_END
from sinks.arrow import HourSchema, Shape, shape_of
from sinks.columnar import ColumnarDecoder, run_of
from sinks.decode import STAMPS, Decoded, RowDecoder, Run
from sinks.nodes import LONG_ARRAY
from tests.sinks.avro_chance import AvroChance
from tests.sinks.fakes import PAYLOAD, value_of, wire_schema
from tests.sinks.test_arrow import CASES
from tests.sinks.test_arrow import run_of as encoded

SCHEMA = wire_schema("t.thing", 1, PAYLOAD)
SHAPE = shape_of(SCHEMA)


class CountedRows(RowDecoder):
    """A row decoder that knows how many events it was given."""

    def __init__(self) -> None:
        self.events = 0

    def decode(self, shape: Shape, run: Run) -> Decoded:
        self.events += len(run.ends)
        return super().decode(shape, run)


def numbered(values: list[bytes]) -> Run:
    run = run_of(values)
    run.stamps["offset"] = range(len(values))
    return run


def rows_of(decoded: Decoded, shape: Shape) -> Any:
    schema = pa.schema(list(shape.stored.items()))
    assert all(table.schema.equals(schema) for table in decoded.tables)
    return pa.concat_tables([schema.empty_table(), *decoded.tables]).combine_chunks()


def both(shape: Shape, values: list[bytes]) -> tuple[Any, list[int]]:
    """Decoded by both, which must agree; the rows and the indices of the poison."""
    run = numbered(values)
    expected, found = RowDecoder().decode(shape, run), ColumnarDecoder().decode(shape, run)
    assert sorted(poison.at for poison in found.poison) == sorted(poison.at for poison in expected.poison)
    table, reference = rows_of(found, shape), rows_of(expected, shape)
    table.validate()
    for name in table.column_names:
        one, other = table.column(name), reference.column(name)
        assert one.equals(other) or repr(plainly(one)) == repr(plainly(other)), name
    return table, sorted(poison.at for poison in found.poison)


def plainly(column: Any) -> Any:
    """Python values, of which each has a text: no date beyond Python's, and NaN like NaN."""
    return column.cast(without_dates(column.type)).to_pylist()


def without_dates(kind: Any) -> Any:
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, without_dates(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, without_dates(kind.item_type))
    return pa.list_(without_dates(kind.value_type)) if pa.types.is_list(kind) else kind


@given(st.integers(0, 2**64))
@settings(deadline=None, max_examples=60)
def test_any_schema_any_bytes(seed: int) -> None:
    made = AvroChance(Random(seed))
    schema = made.schema(1, made.fields())
    shape = shape_of(schema)
    assert ColumnarDecoder().columnar(shape)
    values = [made.value(schema, number) for number in range(30)]
    both(shape, values)
    both(shape, [made.broken(value) if made.chance.random() < 0.4 else value for value in values])
    both(shape, [made.broken(value) for value in values])


@given(st.integers(0, 2**64))
@settings(deadline=None, max_examples=20)
def test_two_versions_of_a_schema_in_one_hour(seed: int) -> None:
    made = AvroChance(Random(seed))
    fields = made.fields()
    versions = [made.schema(1, fields), made.schema(2, [*fields[1:], made.optional()], version=2)]
    shapes = [shape_of(schema) for schema in versions]
    hour, decoder = HourSchema([shapes[1], shapes[0]]), ColumnarDecoder()
    for schema, shape in zip(versions, shapes, strict=True):
        run = numbered([made.value(schema, number) for number in range(20)])
        expected, found = (hour.conform(rows_of(d.decode(shape, run), shape), shape.schema_id) for d in (RowDecoder(), decoder))
        assert found.equals(expected)


@pytest.mark.parametrize(("name", "avro", "given", "expected"), CASES, ids=[case[0] for case in CASES])
def test_every_type_is_read_by_columns(name: str, avro: Any, given: Any, expected: Any) -> None:
    schema = wire_schema("t.thing", 1, [{"name": "v", "type": avro}])
    shape = shape_of(schema)
    plain = wire_schema("t.thing", 1, [{"name": "v", "type": "long"}]) if name == "ts_nanos" else schema
    rows = CountedRows()
    decoder = ColumnarDecoder(rows)
    assert decoder.columnar(shape)
    rows.events = 0
    decoded = decoder.decode(shape, encoded(plain, [given] * 3))
    assert not decoded.poison
    assert rows.events == 0
    assert decoded.tables[0].column("v").to_pylist() == [expected] * 3


def test_poison_costs_itself_alone() -> None:
    count = 10_000
    values = [value_of(SCHEMA, n, {"user": f"u{n}", "ms": n}) for n in range(count)]
    bad = {17: values[17] + b"\0", 5000: values[5000][:-1], 9999: values[9999][: ID_END + 3]}
    for at, value in bad.items():
        values[at] = value
    rows = CountedRows()
    decoder = ColumnarDecoder(rows)
    assert decoder.columnar(SHAPE)
    rows.events = 0
    decoded = decoder.decode(SHAPE, numbered(values))
    assert [poison.at for poison in sorted(decoded.poison)] == sorted(bad)
    assert rows.events == len(bad)
    assert rows_of(decoded, SHAPE).column("_raw_offset").to_pylist() == [n for n in range(count) if n not in bad]


def test_a_value_that_its_column_cannot_hold_is_found_by_halves() -> None:
    """No such column exists; if one ever does, an event that stops it costs itself alone, not all rows."""
    columns = [column._replace(stored=pa.int64()) if column.name == "user" else column for column in SHAPE.columns]
    shape = SHAPE._replace(columns=tuple(columns))
    values = [value_of(SCHEMA, n, {"user": "x" if n in (3, 700) else str(n), "ms": n}) for n in range(1000)]
    rows = CountedRows()
    decoder = ColumnarDecoder(rows)
    assert decoder.columnar(shape)
    rows.events = 0
    decoded = decoder.decode(shape, numbered(values))
    assert sorted(poison.at for poison in decoded.poison) == [3, 700]
    assert rows.events == 2
    assert rows_of(decoded, shape).column("user").to_pylist() == [n for n in range(1000) if n not in (3, 700)]


def test_odd_but_right_events_keep_their_place() -> None:
    """A long array and a number of more bytes than needed are for the row decoder, which reads them."""
    array = wire_schema("t.thing", 1, [{"name": "v", "type": {"type": "array", "items": "int"}}])
    lengths = [1, LONG_ARRAY + 1, 0, 500, 2]
    run = encoded(array, [list(range(length)) for length in lengths])
    values = [run.value(index) for index in range(len(lengths))]
    table, poison = both(shape_of(array), values)
    assert not poison
    assert [len(item) for item in table.column("v").to_pylist()] == lengths
    number = wire_schema("t.thing", 1, [{"name": "v", "type": "long"}])
    run = encoded(number, [1, 2, 3])
    padded = [run.value(0), run.value(1)[:-1] + b"\x84" + b"\x80" * 10 + b"\0", run.value(2)]
    assert both(shape_of(number), padded)[0].column("v").to_pylist() == [1, 2, 3]


def test_arrays_within_arrays_end() -> None:
    """What lengths claim is not believed: neither a count nor many counts may keep the process busy."""
    inner: Any = "int"
    for _ in range(5):
        inner = {"type": "array", "items": inner}
    schema = wire_schema("t.thing", 1, [{"name": "v", "type": inner}])
    value = encoded(schema, [[[[[[1] * 3] * 3] * 3] * 8] * 40]).value(0)
    small = encoded(schema, [[[[[[1]]]]]]).value(0)
    claims = small[:-6] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + small[-6:]
    _, poison = both(shape_of(schema), [small, value, claims, small, claims])
    assert poison == [2, 4]


def test_a_schema_without_bytes_is_left_to_the_row_decoder() -> None:
    schema = wire_schema("t.thing", 1, [{"name": "v", "type": {"type": "array", "items": "null"}}])
    rows = CountedRows()
    decoder = ColumnarDecoder(rows)
    assert not decoder.columnar(shape_of(schema))
    assert decoder.decode(shape_of(schema), encoded(schema, [[None, None], []])).tables[0].column("v").to_pylist() == [[None, None], []]
    assert rows.events == 2


def test_a_decoder_that_reads_otherwise_is_not_used() -> None:
    class Wrong(RowDecoder):
        def decode(self, shape: Shape, run: Run) -> Decoded:
            decoded = super().decode(shape, run)
            return decoded._replace(tables=[table.slice(1) for table in decoded.tables])

    assert not ColumnarDecoder(Wrong()).columnar(SHAPE)


def test_an_empty_run() -> None:
    assert ColumnarDecoder().decode(SHAPE, Run(b"", run_of([]).ends, run_of([]).stamps)) == Decoded([], [])
    assert STAMPS.itemsize == 27
