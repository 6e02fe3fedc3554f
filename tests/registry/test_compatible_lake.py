"""What may follow an older payload schema stays whole in the lake: events of both in one hour, decoded by the sink's own decoders.

And in Avro: readers of each version read the events of the other.
"""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings

from hourmark.event import ID_START
from hourmark.schemas import WireSchema, avro_text
from registry.compatibility import check
from registry.compile import wire_schema
from registry.lakesafe import Survey
from sinks.arrow import STAMP_COLUMNS, HourSchema, Shape, shape_of
from sinks.columnar import ColumnarDecoder, run_of
from sinks.decode import RowDecoder
from tests.registry.avro_pairs import CHANCES, Pairs
from tests.registry.documents import payload
from tests.registry.test_compatibility import ALLOWED
from tests.sinks.avro_chance import AvroChance

EVENTS = 5


def wire(payload: Any, version: int) -> WireSchema:
    text = avro_text(wire_schema("t.thing", payload))
    return WireSchema(event="t.thing", fingerprint=f"fp{version}", text=text, revision=version, schema_id=version, version=version)


def stays_whole(older: Any, newer: Any, chance: Random) -> None:
    """Events of both versions in one hour, and in each other's readers."""
    new, old = wire(newer, 2), wire(older, 1)
    shapes = [shape_of(new), shape_of(old)]
    hour = HourSchema(shapes)
    names = {column.name for shape in shapes for column in shape.columns} | set(STAMP_COLUMNS)
    assert set(hour.schema.names) == names, "a column was split in two"
    for schema, shape, reader in ((new, shapes[0], old), (old, shapes[1], new)):
        values = [AvroChance(chance).value(spelled_out(schema), number) for number in range(EVENTS)]
        for decoder in (RowDecoder(), ColumnarDecoder()):
            in_the_lake(hour, shape, decoder.decode(shape, run_of(values)).tables)
        for value in values:
            body = io.BytesIO(value[ID_START:])
            fastavro.schemaless_reader(body, without_logical(schema), without_logical(reader))
            assert body.read() == b""


def spelled_out(schema: WireSchema) -> WireSchema:
    """AvroChance knows no names: the same bytes, with every type written where it stands."""
    return msgspec.structs.replace(schema, text=avro_text(fastavro.schema.expand_schema(schema.avro)))


def in_the_lake(hour: HourSchema, shape: Shape, tables: list[Any]) -> None:
    [table] = tables
    assert table.num_rows == EVENTS
    found = hour.conform(table, shape.schema_id)
    found.validate(full=True)
    for name in table.column_names:
        assert kept(table.column(name).combine_chunks(), found.column(name).combine_chunks()), name


def kept(before: Any, after: Any) -> bool:
    """The same values; records may have grown by fields that the older version lacks."""
    if before.type == after.type:
        return bool(before.equals(after))
    if not before.is_null().equals(after.is_null()):
        return False
    if pa.types.is_struct(before.type):
        return all(kept(before.field(member.name), after.field(member.name)) for member in before.type)
    if pa.types.is_map(before.type):
        return bool(before.keys.equals(after.keys)) and kept(before.items, after.items)
    return bool(before.offsets.equals(after.offsets)) and kept(before.values, after.values)


def without_logical(schema: WireSchema) -> Any:
    """AvroChance writes any number where a date is wanted; the sink takes it, Python's dates do not."""
    text = json.dumps(schema.avro)
    for meaning in ("timestamp-micros", "timestamp-millis", "date", "uuid"):
        text = text.replace(f'"{meaning}"', '"none"')
    return fastavro.parse_schema(json.loads(text))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(CHANCES)
def test_what_may_follow_stays_whole(chance: Random) -> None:
    older, newer = Pairs(chance, events=True).pair()
    assume(older != newer and not Survey(older).problems and not Survey(newer).problems and not check([(1, older)], newer))
    stays_whole(older, newer, chance)


def test_every_change_that_is_named_allowed_stays_whole() -> None:
    for _, older, newer in ALLOWED:
        stays_whole(older, newer, Random(5))
        stays_whole(newer, older, Random(6))


@pytest.mark.parametrize(
    ("older", "newer"),
    [(payload(("a", ["int", "long"])), payload(("a", ["long"]))), (payload(("a", "bytes")), payload(("a", "string")))],
    ids=["union merged", "bytes and string"],
)
def test_what_avro_allows_and_we_refuse_splits_a_column(older: Any, newer: Any) -> None:
    assert check([(1, older)], newer)
    with pytest.raises(AssertionError, match="split in two"):
        stays_whole(older, newer, Random(7))
