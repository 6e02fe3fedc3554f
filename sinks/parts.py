"""Parquet files of the lake: sorted, with settings that never vary, so that the same rows give the same bytes.

Refuses: Arrow schemas of its own making; the caller says what the columns are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .arrow import SORT

ROW_GROUP: Final = 1 << 18
# Rows are handed to Parquet in pieces of this size whatever way they came: page boundaries, and so the bytes, depend on the rows alone.
PIECE: Final = 1 << 15
UNIQUE: Final = ("_event_id",)
# Like all times: hardly a value twice, each near the one before. As differences they take a third less room and time than in a dictionary.
RISING: Final = ("_raw_offset", "_sequence")
READ_BUFFERS: Final = 32 << 20  # shared by the columns of all parts that are merged into one file
PAGE: Final = 64 << 10  # of a part: a page of each column of each part is held while parts are merged
HELD: Final = 16 << 20  # rows of such parts that are held at a time


class SortedFile:
    """A Parquet file on its way. Give it rows in their final order, in pieces of any size; `close` it once."""

    def __init__(self, file: IO[bytes], schema: Any, lasting: bool = True) -> None:
        """`lasting` False: it will be read once, whole, and then go; what makes a file small would cost more than it saves."""
        self._schema, self.rows = schema, 0
        self._pending: list[Any] = []
        self._pending_rows = 0
        rising = {field.name: "DELTA_BINARY_PACKED" for field in schema if field.name in RISING or pa.types.is_timestamp(field.type)}
        names = [
            path for field in schema if field.name not in UNIQUE and field.name not in rising for path in leaves(field.name, field.type)
        ]
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd" if lasting else "lz4",
            compression_level=1 if lasting else None,
            use_dictionary=names if lasting else False,  # type: ignore[arg-type]  # the stubs know only bool; names of columns are documented
            column_encoding=rising,
            write_statistics=lasting,
            data_page_size=None if lasting else PAGE,
            version="2.6",
            data_page_version="1.0",
        )

    def append(self, table: Any) -> None:
        self._pending.append(table)
        self._pending_rows += table.num_rows
        if self._pending_rows >= PIECE:
            self._flush(self._pending_rows - self._pending_rows % PIECE)

    def close(self) -> None:
        self._flush(self._pending_rows)
        if not self.rows:
            self._writer.write_table(self._schema.empty_table())
        self._writer.close()

    def _flush(self, rows: int) -> None:
        table = self._pending[0] if len(self._pending) == 1 else pa.concat_tables(self._pending) if self._pending else None
        if table is None:
            return
        for low in range(0, rows, PIECE):
            (batch,) = table.slice(low, min(PIECE, rows - low)).combine_chunks().to_batches()
            self._writer.write_batch(batch, row_group_size=ROW_GROUP)
        self.rows += rows
        self._pending_rows -= rows
        self._pending = [table.slice(rows)] if self._pending_rows else []


def write_sorted(tables: list[Any], schema: Any, file: IO[bytes]) -> int:
    """Write a part: all rows of `tables` (emptied on the way: memory matters) sorted by event time, partition, offset. Returns the rows."""
    out = SortedFile(file, schema, lasting=False)
    if tables:
        table = _joined(tables, schema)
        order = sort_order(table)
        for low in range(0, len(order), PIECE):
            out.append(table.take(order.slice(low, PIECE)))
    out.close()
    return out.rows


def sort_order(table: Any) -> Any:
    return pc.sort_indices(table.select(SORT), sort_keys=[(name, "ascending") for name in SORT])


def merge_sorted(sources: Sequence[Iterator[Any]], schema: Any, file: IO[bytes]) -> int:
    """Write a part of the rows of many sorted sources (iterators of tables) in one order, holding few rows of each."""
    out = SortedFile(file, schema, lasting=False)
    for table in in_order(sources):
        out.append(table)
    out.close()
    return out.rows


def in_order(sources: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """The rows of many sorted sources in one order, as tables of any size.

    Each turn takes, from every source, the rows up to the point to which all sources are known. The order is that of all three columns of
    `SORT`, which no two events share: of a source that holds nothing but one instant no more is read than of any other.
    """
    lanes = [_Lane(source) for source in sources]
    while lanes := [lane for lane in lanes if lane.fill()]:
        limit = min(lane.newest for lane in lanes)
        taken = [table for lane in lanes if (table := lane.take(limit)) is not None]
        table = pa.concat_tables(taken)
        yield table.take(sort_order(table)) if len(taken) > 1 else table


class _Lane:
    """One sorted source: what has been read of it and not yet taken. `newest`: the place of its last row in the order."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._table: Any = None
        self._keys: list[Any] = []
        self.newest: tuple[int, ...] = ()

    def fill(self) -> bool:
        """Have rows at hand; False when there are none any more."""
        while self._table is None or not self._table.num_rows:
            self._table = next(self._source, None)
            if self._table is None:
                return False
            if self._table.num_rows:
                self._keys = [self._table.column(name).cast(pa.int64()).to_numpy() for name in SORT]
                self.newest = tuple(int(key[-1]) for key in self._keys)
        return True

    def take(self, limit: tuple[int, ...]) -> Any:
        """Rows up to and with `limit`, None when there are none."""
        low, high = 0, self._table.num_rows
        for key, value in zip(self._keys, limit, strict=True):  # within what is equal so far, the next column decides
            equal = key[low:high]
            low, high = low + int(equal.searchsorted(value, "left")), low + int(equal.searchsorted(value, "right"))
        if not high:
            return None
        taken, self._table = self._table.slice(0, high), self._table.slice(high)
        self._keys = [key[high:] for key in self._keys]
        return taken


def leaves(path: str, kind: Any) -> Iterator[str]:
    """Parquet's names of the leaf columns of an Arrow column."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind):
        yield from leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_map(kind):
        yield f"{path}.key_value.key"
        yield from leaves(f"{path}.key_value.value", kind.item_type)
    else:
        yield path


def read_table(file: Any) -> Any:
    """A whole part. Not through the dataset layer: that would take `hour=07` in a path for a column."""
    return pq.ParquetFile(file).read()


def read_pieces(file: Any, among: int) -> Iterator[Any]:
    """A part in its order, piece by piece, without holding its row groups. The pieces are small when it is one `among` many."""
    opened = pq.ParquetFile(file, buffer_size=max(READ_BUFFERS // (among * 32), 4096), pre_buffer=False)
    for batch in opened.iter_batches(batch_size=_piece_rows(opened.metadata, among)):
        yield pa.Table.from_batches([batch])


def _piece_rows(metadata: Any, among: int) -> int:
    """Rows whose pieces, one of each part, take about `HELD` bytes together."""
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    each = max(size // max(metadata.num_rows, 1), 1)
    return int(min(max(HELD // (among * each), 16), 2 * PIECE))


def _joined(tables: list[Any], schema: Any) -> Any:
    """One table with one chunk a column. Column by column, so that never more than one is held twice."""
    whole = pa.concat_tables(tables)
    tables.clear()
    columns: list[Any] = []
    for _ in range(whole.num_columns):
        columns.append(whole.column(0).combine_chunks())
        whole = whole.remove_column(0)
    return pa.Table.from_arrays(columns, schema=schema)
