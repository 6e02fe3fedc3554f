"""The columnar decoder: a run of events to Arrow field by field instead of event by event (nodes.py does the reading).

Promise: the same rows, in the same order, and the same poison as `RowDecoder`, which stays the reference: whatever looks odd goes to it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import structlog

from hourmark.event import ID_END

from .arrow import Shape
from .cursors import Cursors, Ints, Source
from .decode import STAMPS, Decoded, Decoder, Poison, RowDecoder, Run, stamp_columns, uuid_text
from .nodes import Node, Unsupported
from .reading import nodes_of, samples

log = structlog.get_logger()

ROWS: Final = 32_768  # about a run: a piece more would be a copy more
BYTES: Final = 8 << 20


class ColumnarDecoder:
    """About 0.5 µs an event of 17 columns (2 GHz core). A schema that it cannot read, or fails to read alike, is left to `rows`."""

    def __init__(self, rows: Decoder | None = None) -> None:
        self._rows = rows or RowDecoder()
        self._plans: dict[int, tuple[Any, _Plan | None]] = {}

    def decode(self, shape: Shape, run: Run) -> Decoded:
        plan = self._plan(shape)
        if plan is None:
            return self._rows.decode(shape, run)
        found = Decoded([], [])
        for base, chunk in run.chunks(ROWS, BYTES):
            plan.decode(chunk, base, found)
        return found

    def columnar(self, shape: Shape) -> bool:
        """Whether events of this schema are decoded by columns."""
        return self._plan(shape) is not None

    def _plan(self, shape: Shape) -> _Plan | None:
        known = self._plans.get(shape.schema_id)
        if known is None or known[0] != shape.reading:
            known = self._plans[shape.schema_id] = shape.reading, self._proven(shape)
        return known[1]

    def _proven(self, shape: Shape) -> _Plan | None:
        """A plan that has read samples of this schema, whole and broken, as the row decoder does."""
        try:
            plan = _Plan(shape, self._rows)
            run = run_of(samples(shape))
            expected, found = self._rows.decode(shape, run), Decoded([], [])
            plan.decode(run, 0, found)
        except Unsupported as exc:
            log.info("events of this schema are decoded one by one", schema_id=shape.schema_id, why=str(exc))
            return None
        except Exception as exc:  # slower is better than not at all, and the samples are no one's events
            log.warning(
                "events of this schema are decoded one by one: the columnar check failed", schema_id=shape.schema_id, error=repr(exc)
            )
            return None
        if alike(expected, found):
            return plan
        log.warning("events of this schema are decoded one by one: the columnar decoder reads them otherwise", schema_id=shape.schema_id)
        return None


class _Plan:
    """One schema's nodes."""

    def __init__(self, shape: Shape, rows: Decoder) -> None:
        if shape.columns[0].name != "_event_id":
            raise Unsupported("the event id is not the first field")
        self._shape, self._rows = shape, rows
        self._nodes: list[Node] = nodes_of(shape)[1:]  # the id is taken from its place in the bytes

    def decode(self, chunk: Run, base: int, into: Decoded) -> None:
        """Append the chunk's rows and poison; `base` is the index of its first event."""
        try:
            table, odd = self._read(chunk)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            # A value that its stored type cannot hold stops a whole column: by halves it is found.
            count = len(chunk.ends)
            if count == 1:
                self._by_rows(chunk, np.zeros(1, np.int64), None, base, into)
            else:
                for low, half in chunk.chunks((count + 1) // 2, len(chunk.data) + 1):
                    self.decode(half, base + low, into)
            return
        if len(odd):
            self._by_rows(chunk, odd, table, base, into)
        elif table.num_rows:
            into.tables.append(table)

    def _read(self, chunk: Run) -> tuple[Any, Ints]:
        """The table of all that was read, and the indices of the others."""
        starts = np.concatenate(([0], chunk.ends[:-1]))
        cursors = Cursors(Source(chunk.data), starts + ID_END, chunk.ends)
        columns = [node.read(cursors) for node in self._nodes]
        bad = cursors.bad | (cursors.at != chunk.ends)
        stamps = chunk.stamps
        if bad.any():
            good = ~bad
            keep: Any = pa.array(good)
            columns = [column.filter(keep) for column in columns]
            starts, stamps = starts[good], stamps[good]
        # safe=False only drops what is finer than a microsecond; nothing else is cast
        stored = [
            array if kind.built == kind.stored else array.cast(kind.stored, safe=False)
            for array, kind in zip(columns, self._shape.columns[1:], strict=True)
        ]
        columns = [uuid_text(chunk.data, starts), *stored, *stamp_columns(stamps, self._shape.schema_id)]
        return pa.table(columns, names=list(self._shape.stored)), np.flatnonzero(bad)

    def _by_rows(self, chunk: Run, odd: Ints, table: Any, base: int, into: Decoded) -> None:
        """The row decoder has the last word on odd events; those it can read take their places among the others."""
        values = [chunk.value(index) for index in odd.tolist()]
        decoded = self._rows.decode(self._shape, run_of(values, chunk.stamps[odd]))
        into.poison.extend(Poison(base + int(odd[poison.at]), poison.reason) for poison in decoded.poison)
        tables = decoded.tables if table is None or not table.num_rows else [table, *decoded.tables]
        if len(tables) > 1:
            everything, poisoned = np.arange(len(chunk.ends)), odd[[poison.at for poison in decoded.poison]]
            order = np.concatenate([np.setdiff1d(everything, odd), np.setdiff1d(odd, poisoned)])
            tables = [pa.concat_tables(tables).take(np.argsort(order))]
        into.tables.extend(tables)


def run_of(values: list[bytes], stamps: Any = None) -> Run:
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    return Run(b"".join(values), ends, np.zeros(len(values), STAMPS) if stamps is None else stamps)


def alike(a: Decoded, b: Decoded) -> bool:
    """The same rows in the same order, and the same events refused."""
    if {poison.at for poison in a.poison} != {poison.at for poison in b.poison}:
        return False
    one, other = (pa.concat_tables(decoded.tables).combine_chunks() if decoded.tables else None for decoded in (a, b))
    return one is None and other is None if one is None or other is None else bool(one.equals(other))
