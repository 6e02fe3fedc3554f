"""Sorting and merging: the same rows give the same bytes, whatever way they came."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sinks.parts
from sinks.parts import leaves, merge_sorted, sort_order, write_sorted

SCHEMA = pa.schema(
    [
        ("_event_id", pa.string()),
        ("_event_time", pa.timestamp("us", "UTC")),
        ("_raw_partition", pa.int32()),
        ("_raw_offset", pa.int64()),
        ("tags", pa.list_(pa.string())),
    ]
)


def table(times: list[int], partition: int) -> Any:
    rows = [
        {"_event_id": f"{partition}-{n}", "_event_time": time, "_raw_partition": partition, "_raw_offset": n, "tags": [str(time % 3)]}
        for n, time in enumerate(times)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def pieces(whole: Any, size: int) -> Iterator[Any]:
    whole = whole.take(sort_order(whole))
    return (whole.slice(low, size) for low in range(0, whole.num_rows, size))


@given(st.lists(st.lists(st.integers(0, 30), max_size=50), max_size=6), st.integers(1, 9), st.sampled_from([1, 7, 16]))
@settings(deadline=None)
def test_merging_equals_sorting_byte_for_byte(parts: list[list[int]], piece: int, unit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sinks.parts, "PIECE", unit)
        tables = [table(times, number) for number, times in enumerate(parts)]
        merged, sorted_ = io.BytesIO(), io.BytesIO()
        rows = merge_sorted([pieces(one, piece) for one in tables], SCHEMA, merged)
        assert rows == write_sorted(list(tables), SCHEMA, sorted_) == sum(map(len, parts))
        assert merged.getvalue() == sorted_.getvalue()
    found = pa.parquet.read_table(io.BytesIO(merged.getvalue()))
    keys = [(row["_event_time"], row["_raw_partition"], row["_raw_offset"]) for row in found.to_pylist()]
    assert keys == sorted(keys)
    assert len(set(keys)) == rows


def test_a_file_without_rows_can_be_read() -> None:
    out = io.BytesIO()
    assert write_sorted([], SCHEMA, out) == 0
    assert pa.parquet.read_table(io.BytesIO(out.getvalue())).schema.equals(SCHEMA)


def test_dictionary_is_off_for_ids_only() -> None:
    out = io.BytesIO()
    write_sorted([table([1, 2, 3], 0)], SCHEMA, out)
    group = pa.parquet.ParquetFile(io.BytesIO(out.getvalue())).metadata.row_group(0)
    by_path = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {path for path, column in by_path.items() if not column.has_dictionary_page} == {"_event_id"}
    assert {column.compression for column in by_path.values()} == {"ZSTD"}
    assert set(by_path) == {path for field in SCHEMA for path in leaves(field.name, field.type)}
