"""Proves hours again from the files alone: digests, rows, ids, commit chains, barriers, sums. Changes nothing, trusts nothing.

Memory is bounded whatever the range: files are read in pieces, ids are compared on disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hourmark.event import CleanBarrier
from hourmark.hours import Hours, label, parse_folder
from hourmark.topics import Partition

from . import layout
from .chain_check import Fault, Presented, disordered, goes_into, presented, walk
from .manifest import CommitEntry, HourCount, Manifest, Plan, decode
from .spool import Spool, id_keys
from .store import Store, Stored
from .store import digest as file_digest
from .watermarks import sealed_hours, types

BATCH = 1 << 16


class Finding(NamedTuple):
    """Something that is not as it must be. `code` is stable; `hour` is a label, empty when it concerns the whole type."""

    type: str
    hour: str
    code: str
    path: str
    detail: str


Progress = Callable[[str], None]


class Range(NamedTuple):
    """Hours to prove, both ends included, None: all. `clock`: check also that each row stands in the hour of its append time, in order."""

    first: int | None = None
    last: int | None = None
    clock: Hours | None = None

    def of(self, hours: Sequence[int]) -> list[int]:
        return [hour for hour in hours if (self.first is None or hour >= self.first) and (self.last is None or hour <= self.last)]


def fsck(
    store: Store, event_type: str | None = None, first: int | None = None, last: int | None = None, on_progress: Progress | None = None
) -> list[Finding]:
    """Everything wrong with the sealed hours `first` … `last` (numbers; None: all) of one type or of all, and with their commit chains.

    `on_progress` gets the name of each thing checked. Ids are compared within each hour and between all that are checked.
    """
    names = types(store) if event_type is None else [event_type]
    return [finding for name in names for finding in prove(store, name, Range(first, last), on_progress or (lambda _what: None))]


def prove(store: Store, event_type: str, hours: Range, on_progress: Progress) -> list[Finding]:
    """As `fsck`, of one type; with a clock in `hours` the order and the hour of every row too."""
    with Spool() as ids, Spool() as coordinates:
        check = _TypeCheck(store, event_type, on_progress, (ids, coordinates), hours.clock)
        check.run(hours)
        return check.findings


class _TypeCheck:
    """The checks of one event type."""

    def __init__(self, store: Store, event_type: str, progress: Progress, spools: tuple[Spool, Spool], clock: Hours | None) -> None:
        self._store, self._type, self._progress, self._clock = store, event_type, progress, clock
        self._ids, self._coordinates = spools
        self.findings: list[Finding] = []
        self._counts: dict[int, HourCount] = {}
        self._plans: dict[int, Presented] = {}
        self._newest: dict[int, Presented] = {}
        self._sewn = False
        self._from = 0  # what hours before the first one checked present counts as presented by the one before it

    def run(self, hours: Range) -> None:
        decided = sealed_hours(self._store, self._type)
        chosen = hours.of(decided)
        self._progress(f"{self._type}: commit chains")
        self._plans = self._presented([chosen[0] - 1, *chosen] if chosen else [])
        self._newest = self._presented(decided[-1:])
        self._from = min(self._plans, default=0) if chosen and chosen[0] - 1 in self._plans else 0
        folders = {*self._store.folders(f"{layout.COMMITS}/{self._type}"), *self._store.folders(f"{layout.CHECKPOINTS}/{self._type}")}
        for name in sorted(folders):
            self._chain(int(name.removeprefix("p")))
        self._order(decided)
        self._strays(decided)
        for hour in chosen:
            self._progress(f"{self._type} {label(hour)}")
            self._hour(hour, newest=hour == decided[-1])
        self._unique()

    def _find(self, hour: str, code: str, path: str, detail: str) -> None:
        self.findings.append(Finding(self._type, hour, code, path, detail))

    def _presented(self, hours: Sequence[int]) -> dict[int, Presented]:
        found = {}
        for hour in hours:
            seal = self._store.read(layout.seal(self._type, hour))
            try:
                if seal is not None:
                    found[hour] = presented(decode(Plan, seal))
            except msgspec.DecodeError:
                pass  # said when that hour is looked at
        return found

    # -- chains

    def _chain(self, partition: int) -> None:
        where = Partition(self._type, partition)
        barriers: list[CleanBarrier] = []
        for item in walk(self._store, where):
            if isinstance(item, Fault):
                self._find("", *item)
                continue
            self._add(item.entry)
            if item.entry.seam is not None and item.entry.next == item.entry.seam.position:
                barriers, self._sewn = [], True  # offsets of another raw log follow
            barriers += item.entry.barriers
            for one, two in disordered(barriers):
                self._find(
                    label(two.hour), "barrier_order", layout.commits(*where), f"barrier at raw offset {two.offset} comes after {one.offset}"
                )
            barriers = barriers[-1:]

    def _add(self, entry: CommitEntry) -> None:
        for hour, count in entry.hours.items():
            goal = goes_into(self._plans, entry.partition, entry.first, max(hour, self._from))
            if goal is not None:
                total = self._counts.setdefault(goal, HourCount())
                total.written += count.written
                total.poisoned += count.poisoned
        for part in entry.parts:
            # Parts of sealed hours have done their work and may be swept away.
            if goes_into(self._newest, entry.partition, entry.first, max([part.hour, *self._newest])) is None:
                self._file(part.hour, part.path, Stored(part.bytes, part.sha256), part.rows)

    # -- hours

    def _order(self, decided: Sequence[int]) -> None:
        for one, two in itertools.pairwise(decided):
            if two != one + 1:
                self._find(label(one + 1), "hour_missing", layout.seals(self._type), f"sealed are {label(one)} and then {label(two)}")

    def _strays(self, decided: Sequence[int]) -> None:
        root, known = f"{layout.EVENTS}/{self._type}", set(decided)
        for day in self._store.folders(root):
            for name in self._store.folders(f"{root}/{day}"):
                path = f"{day}/{name}"
                try:
                    stray = parse_folder(path) not in known
                except ValueError:
                    stray = True
                if stray:
                    self._find(path, "hour_unknown", f"{root}/{path}", "nobody has decided about this hour")

    def _hour(self, hour: int, *, newest: bool) -> None:
        folder, name = layout.hour_folder(self._type, hour), label(hour)
        seal = self._store.read(layout.seal(self._type, hour))
        found = self._store.read(f"{folder}/{layout.MANIFEST}")
        if self._store.read(f"{folder}/{layout.SUCCESS}") is None:
            if newest and found is None:
                return  # decided a moment ago, and about to be presented
            self._find(name, "marker_missing", folder, "no _SUCCESS")
        if found is None or seal is None:
            self._find(name, "manifest_missing", folder, "no _manifest.json, so nothing can be proved")
            return
        try:
            manifest, plan = decode(Manifest, found), decode(Plan, seal)
        except msgspec.DecodeError as exc:
            self._find(name, "manifest_unreadable", folder, str(exc))
            return
        for detail in _differences(manifest, plan, self._counts.get(hour, HourCount()), name):
            self._find(name, "manifest_differs", f"{folder}/{layout.MANIFEST}", detail)
        there = set(self._store.names(folder))
        for extra in sorted(there - {file.name for file in manifest.files} - {layout.MANIFEST, layout.SUCCESS}):
            self._find(name, "extra_file", f"{folder}/{extra}", "is not in the manifest")
        # raw offsets of two logs may meet in an hour with a seam, which is never complete
        coordinates = self._coordinates if manifest.complete or not self._sewn else None
        rows = _Rows(hour, self._ids, coordinates, self._clock)
        for file in manifest.files:
            self._file(hour, f"{folder}/{file.name}", Stored(file.bytes, file.sha256), file.rows, rows)
        for fault in rows.faults:
            self._find(name, *fault)

    def _file(self, hour: int, path: str, said: Stored, rows: int, into: _Rows | None = None) -> None:
        """Check that a file is what it was said to be, and if so look at its rows."""
        folder, _, file_name = path.rpartition("/")
        if file_name not in self._store.names(folder):
            self._find(label(hour), "missing_file", path, f"{rows} rows are gone")
            return
        with closing(self._store.open(path)) as file:
            stored = file_digest(file)
            if stored != said:
                detail = f"{stored.bytes} bytes, digest {stored.sha256[:12]}; was {said.bytes}, {said.sha256[:12]}"
                self._find(label(hour), "changed_file", path, detail)
                return
            try:
                opened = pq.ParquetFile(file, pre_buffer=False)
                if opened.metadata.num_rows != rows:
                    self._find(label(hour), "wrong_rows", path, f"{opened.metadata.num_rows} rows, not {rows}")
                if into is not None:
                    into.look(opened, path)
            except (pa.ArrowException, OSError, ValueError) as exc:
                self._find(label(hour), "unreadable_file", path, f"{type(exc).__name__}: {exc}")

    def _unique(self) -> None:
        kinds = ((self._ids, "duplicate_ids", "events"), (self._coordinates, "duplicate_coordinates", "raw records"))
        for spool, code, what in kinds:
            for (one, two), count in sorted(spool.repeats().items()):
                if one == two:
                    self._find(label(one), code, layout.hour_folder(self._type, one), f"{count} {what} stand in it twice")
                else:
                    self._find(label(two), code, layout.hour_folder(self._type, two), f"{count} {what} stand also in {label(one)}")


class _Rows:
    """The rows of one hour, file after file: their ids and coordinates go to the spools; with a clock, order and hours are looked at."""

    def __init__(self, hour: int, ids: Spool, coordinates: Spool | None, clock: Hours | None) -> None:
        self._hour, self._ids, self._coordinates, self._clock = hour, ids, coordinates, clock
        self._last = (-(1 << 63), -1, -1)
        self.faults: list[Fault] = []

    def look(self, file: Any, path: str) -> None:
        keys = ["_event_id", "_event_time", "_raw_partition", "_raw_offset", "_append_time", "_skewed"]
        for batch in file.iter_batches(BATCH, columns=keys[: None if self._clock else 4]):
            self._ids.add(*id_keys(batch.column("_event_id").to_pylist()), self._hour)
            partition, offset = (batch.column(name).to_numpy().astype(np.int64) for name in keys[2:4])
            if self._coordinates is not None:
                self._coordinates.add(self._hour << 32 | partition, offset, self._hour)
            if self._clock is not None and batch.num_rows:
                self._in_order(batch.column("_event_time").cast(pa.int64()).to_numpy(), partition, offset, path)
                self._in_hour(batch, path)

    def _in_order(self, times: Any, partition: Any, offset: Any, path: str) -> None:
        times, partition, offset = (np.concatenate(([last], new)) for last, new in zip(self._last, (times, partition, offset), strict=True))
        later = times[1:] > times[:-1]
        tied = times[1:] == times[:-1]
        later |= tied & (partition[1:] > partition[:-1])
        later |= tied & (partition[1:] == partition[:-1]) & (offset[1:] >= offset[:-1])
        if not later.all():
            self.faults.append(Fault("wrong_order", path, f"{int((~later).sum())} rows stand before an older one"))
        self._last = (int(times[-1]), int(partition[-1]), int(offset[-1]))

    def _in_hour(self, batch: Any, path: str) -> None:
        assert self._clock is not None
        own: Any = self._clock.of(batch.column("_append_time").cast(pa.int64()).to_numpy() // 1000)  # plain arithmetic, of all at once
        skewed = batch.column("_skewed").to_numpy(zero_copy_only=False)
        wrong = (own != self._hour) & ~(skewed & (own < self._hour))
        if wrong.any():
            self.faults.append(Fault("wrong_hour", path, f"{int(wrong.sum())} rows were appended in another hour, and are not skewed"))


def _differences(manifest: Manifest, plan: Plan, count: HourCount, name: str) -> Iterator[str]:
    """Manifest against its seal, its own sums, and the commit chains."""
    if manifest.plan != plan.essence():
        yield "was not made from the seal of this hour"
    if manifest.content != manifest.contents():
        yield "its content digest is not that of its contents"
    same = ("type", "hour", "complete", "sealed_at", "partitions", "totals", "audit")
    yield from (f"{field} is not what was decided" for field in same if getattr(manifest, field) != getattr(plan, field))
    if (manifest.forced or None) != plan.forced:
        yield "forced is not what was decided"
    if manifest.complete and (manifest.forced or not manifest.audit.equal):
        yield "says complete, and is not"
    if [(f.name, f.rows) for f in manifest.files] != [(o.name, o.rows) for o in plan.outputs]:
        yield "files are not those of the plan"
    if sum(file.rows for file in manifest.files) != manifest.totals.rows:
        yield f"files hold {sum(file.rows for file in manifest.files)} rows, totals say {manifest.totals.rows}"
    written, poisoned = (sum(getattr(a, field) for a in manifest.partitions) for field in ("written", "poisoned"))
    if (written, poisoned) != (manifest.totals.rows, manifest.totals.poisoned):
        yield f"partitions sum up to {written} rows and {poisoned} poisoned"
    if (count.written, count.poisoned) != (written, poisoned):
        yield f"the commit chains say {count.written} rows and {count.poisoned} poisoned"
    if manifest.hour != name:
        yield "speaks of another hour"
