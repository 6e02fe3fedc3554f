"""Takes what the sink's own buffers hold of open hours to files of rows, one for each schema, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.arrow import Shape
from sinks.batches import HourlyBatches, PartitionBuffer
from sinks.columnar import ColumnarDecoder
from sinks.commits import Tip


class Part(NamedTuple):
    """A file of rows of one writer schema. `late`: of an hour that was sealed by force without them; they will be flagged skewed."""

    path: str
    schema_id: int
    late: bool
    staged: bool = True  # in the lake, else a local file of ours


class Spill:
    """`sealed`: newest sealed hour, None when there is none. `refused`: records that are no rows. `close` it once."""

    def __init__(self, shape: Callable[[int, str], Shape | None], new_file: Callable[[], Path], sealed: int | None) -> None:
        self._shape, self._new_file, self._sealed, self._decoder = shape, new_file, sealed, ColumnarDecoder()
        self._files: dict[tuple[int, bool], tuple[Path, Any]] = {}
        self.refused = 0

    def take(self, batches: HourlyBatches) -> None:
        for buffer in list(batches):
            self._take(buffer)
            batches.open(buffer.partition, Tip(buffer.next, buffer.mark, buffer.closed))

    def _take(self, buffer: PartitionBuffer) -> None:
        self.refused += len(buffer.foreign)
        for (hour, schema_id), group in sorted(buffer.groups.items()):
            shape = self._shape(schema_id, buffer.partition.event_type)
            late = self._sealed is not None and hour <= self._sealed
            for run in group.drain():
                if shape is None:
                    self.refused += len(run.ends)
                    continue
                tables, poison = self._decoder.decode(shape, run)
                self.refused += len(poison)
                for table in tables:
                    self._writer(shape, late).write_table(table)

    def _writer(self, shape: Shape, late: bool) -> Any:
        known = self._files.get((shape.schema_id, late))
        if known is None:
            path = self._new_file()
            known = self._files[shape.schema_id, late] = (
                path,
                pq.ParquetWriter(path, pa.schema(list(shape.stored.items())), compression="lz4"),
            )
        return known[1]

    def close(self) -> list[Part]:
        for _, writer in self._files.values():
            writer.close()
        return [Part(str(path), schema_id, late, staged=False) for (schema_id, late), (path, _) in self._files.items()]
