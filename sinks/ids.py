"""Which event ids the lake holds, and which raw record each came from: what an id index can be rebuilt from.

Reads ids and coordinates only, from sealed hours and from the parts of open ones, a bounded piece at a time. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hourmark.errors import ChainConflict, LakeUnavailable
from hourmark.hours import Hours
from hourmark.topics import Partition

from . import layout
from .commits import CommitChain
from .manifest import Plan, decode
from .store import Store
from .watermarks import open_books, sealed_hours

PIECE: Final = 20_000
NOBODY: Final = 0  # sources begin at 1
_COLUMNS: Final = ("_event_id", "_append_time", "_raw_partition", "_raw_offset")


class IdRows(NamedTuple):
    """Events appended in one platform hour. `append_ms`: of the newest. `ids`: 16 bytes each; `owners`: packed coordinates, 8 each."""

    append_ms: int
    ids: bytes
    owners: bytes


class Files(NamedTuple):
    """Parquet files that hold `rows` events in all. `sources`: raw partition → source of its records. `gone`: files no longer there."""

    paths: list[str]
    rows: int
    sources: Mapping[int, int]
    gone: list[str]


class Origins(NamedTuple):
    """Which raw log the rows of a file came from. `sources`: raw partition → source. `seams`: raw partition → append time in ms up to
    which its rows are of a log that is gone; their owner is nobody, since another record may have their coordinates now."""

    sources: Mapping[int, int]
    seams: Mapping[int, int]


class Coverage(NamedTuple):
    """Where the ids of a type are: in the sealed hours, in the parts behind them, and in the clean topic from the offsets `tips` on.

    `seams`: as in Origins.
    """

    sealed: list[int]
    unsealed: Files
    tips: Mapping[int, int]
    seams: Mapping[int, int]


def coverage(store: Store, event_type: str) -> Coverage:
    """What the lake holds of a type now. An hour that is sealed meanwhile may appear twice, never not at all."""
    books, chain = open_books(store, event_type), CommitChain(store)
    parts = [part for book in books for found in book.parts.values() for part in found]
    tips = {book.partition: chain.tip(Partition(event_type, book.partition)) for book in books}
    sources = {partition: tip.mark.source for partition, tip in tips.items() if tip.mark is not None}
    seams = {partition: tip.seam.before_ms for partition, tip in tips.items() if tip.seam is not None}
    unsealed = Files([part.path for part in parts], sum(part.rows for part in parts), sources, [])
    return Coverage(sealed_hours(store, event_type), unsealed, {book.partition: book.offset for book in books}, seams)


def sealed_files(store: Store, event_type: str, hour: int) -> Files:
    """The files of an hour that has been decided about: those presented, or as long as they are not, the parts they are made from."""
    path = layout.seal(event_type, hour)
    data = store.read(path)
    if data is None:
        raise ChainConflict(f"{path} has disappeared: a decision about an hour is never taken back", path=path)
    plan = decode(Plan, data)
    sources = {partition: resume.last.source for partition, resume in plan.resume.items() if resume.last is not None}
    if not plan.totals.rows:
        return Files([], 0, sources, [])
    folder = layout.hour_folder(event_type, hour)
    there = set(store.names(folder))
    if layout.SUCCESS in there:
        gone = [f"{folder}/{output.name}" for output in plan.outputs if output.name not in there]
        return Files([f"{folder}/{output.name}" for output in plan.outputs if output.name in there], plan.totals.rows, sources, gone)
    parts = [part.path for part in plan.parts]
    gone = [part for part in parts if part.rpartition("/")[2] not in store.names(part.rpartition("/")[0])]
    return Files([part for part in parts if part not in gone], plan.totals.rows, sources, gone)


def read_ids(store: Store, path: str, origins: Origins, hours: Hours) -> Iterator[IdRows]:
    """The events of one file, those appended in one hour together. Raises LakeUnavailable."""
    with closing(store.open(path)) as file:
        try:
            for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(batch_size=PIECE, columns=list(_COLUMNS)):
                yield from _by_hour(batch, origins, hours)
        except (OSError, pa.ArrowException) as exc:
            raise LakeUnavailable(f"{path}: {type(exc).__name__}: {exc}", path=path) from exc


def _by_hour(batch: Any, origins: Origins, hours: Hours) -> Iterator[IdRows]:
    text, times, partitions, offsets = (batch.column(name) for name in _COLUMNS)
    append_ms = times.cast(pa.int64()).to_numpy() // 1000
    partition, offset = partitions.to_numpy().astype(np.int64), offsets.to_numpy()
    numbers = range(int(partition.max(initial=0)) + 1)
    source = np.array([origins.sources.get(number, 1) for number in numbers], np.int64)[partition]
    if origins.seams:
        source[append_ms <= np.array([origins.seams.get(number, -1) for number in numbers], np.int64)[partition]] = NOBODY
    owners = (source << 56 | partition << 40 | offset).astype(">i8")
    ids = np.frombuffer(bytes.fromhex("".join(text.to_pylist()).replace("-", "")), np.uint8).reshape(-1, 16)
    of: Any = hours.of(append_ms)  # plain arithmetic, which numpy does for all at once
    for hour in np.unique(of):
        which = of == hour
        yield IdRows(int(append_ms[which].max()), ids[which].tobytes(), owners[which].tobytes())
