"""Parquet files of the lake: sorted, with settings that never vary, so that the same rows give the same bytes.

Refuses: Arrow schemas of its own making; the caller says what the columns are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .arrow import SORT

ROW_GROUP: Final = 250_000
UNIQUE: Final = ("_event_id",)


def write_sorted(tables: list[Any], schema: Any, file: IO[bytes]) -> int:
    """Write all rows of `tables` (emptied on the way: memory matters) sorted by event time, partition, offset. Returns the rows."""
    table = _joined(tables, schema)
    order = pc.sort_indices(table.select(SORT), sort_keys=[(name, "ascending") for name in SORT])
    with open_writer(file, schema) as writer:
        for low in range(0, len(order), ROW_GROUP):
            writer.write_table(table.take(order.slice(low, ROW_GROUP)), row_group_size=ROW_GROUP)
    return int(table.num_rows)


def open_writer(file: IO[bytes], schema: Any) -> Any:
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[  # type: ignore[arg-type]  # the stubs know only bool; the names of columns are documented
            path for field in schema if field.name not in UNIQUE for path in leaves(field.name, field.type)
        ],
        write_statistics=True,
        coerce_timestamps=None,
        version="2.6",
        data_page_version="1.0",
    )


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


def _joined(tables: list[Any], schema: Any) -> Any:
    """One table with one chunk a column. Column by column, so that never more than one is held twice."""
    if not tables:
        return schema.empty_table()
    whole = pa.concat_tables(tables)
    tables.clear()
    columns: list[Any] = []
    for _ in range(whole.num_columns):
        columns.append(whole.column(0).combine_chunks())
        whole = whole.remove_column(0)
    return pa.Table.from_arrays(columns, schema=schema)
