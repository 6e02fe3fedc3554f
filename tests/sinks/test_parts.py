"""Sorting and merging: the same rows give the same bytes, whatever way they came."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sinks.parts
from sinks.parts import HELD, SortedFile, in_order, leaves, merge_sorted, read_pieces, sort_order, write_sorted

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


def test_events_of_one_instant_are_merged_piece_by_piece_too() -> None:
    """Clocks of a second's grain, or an hour of imported events: no part may be held whole for it."""
    ahead = 0

    def counted(number: int) -> Iterator[Any]:
        nonlocal ahead
        for piece in pieces(table([7] * 400, number), 4):
            ahead += piece.num_rows
            yield piece

    most = 0
    for merged in in_order([counted(number) for number in range(5)]):
        most = max(most, ahead)
        ahead -= merged.num_rows
    assert ahead == 0
    assert most <= 6 * 4


def test_a_file_without_rows_can_be_read() -> None:
    out = io.BytesIO()
    assert write_sorted([], SCHEMA, out) == 0
    assert pa.parquet.read_table(io.BytesIO(out.getvalue())).schema.equals(SCHEMA)


def test_no_dictionary_where_no_value_comes_twice() -> None:
    out = io.BytesIO()
    file = SortedFile(out, SCHEMA)
    file.append(table([1, 2, 3], 0))
    file.close()
    group = pa.parquet.ParquetFile(io.BytesIO(out.getvalue())).metadata.row_group(0)
    by_path = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {path for path, column in by_path.items() if not column.has_dictionary_page} == {"_event_id", "_event_time", "_raw_offset"}
    assert "DELTA_BINARY_PACKED" in by_path["_event_time"].encodings
    assert {column.compression for column in by_path.values()} == {"ZSTD"}
    assert set(by_path) == {path for field in SCHEMA for path in leaves(field.name, field.type)}


@pytest.mark.parametrize(("rows", "size", "among"), [(20_000, 10, 1), (2000, 50_000, 3), (0, 0, 1)])
def test_pieces_of_large_events_are_short(rows: int, size: int, among: int) -> None:
    """Whatever an event weighs, what is held of all parts together is bounded."""
    out = io.BytesIO()
    texts = pa.array([f"{number:0{size}d}" for number in range(rows)], pa.string())
    pq.write_table(pa.table({"text": texts}), out, use_dictionary=False)
    found = list(read_pieces(out, among))
    assert sum(piece.num_rows for piece in found) == rows
    assert all(piece.nbytes * among < 2 * HELD for piece in found)
