"""Proves hours again from the files alone: digests, rows, ids, commit chains, barriers, sums. Changes nothing, trusts nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hourmark.errors import ChainConflict
from hourmark.event import CleanBarrier
from hourmark.hours import label, parse_folder, parse_label
from hourmark.topics import Partition

from . import layout
from .commits import CommitChain
from .manifest import CommitEntry, FileRef, HourCount, Manifest, Plan, decode, digest
from .store import Store, Stored
from .watermarks import sealed_hours, types

IDS_MOST = 5_000_000
_KEYS = ("_event_id", "_raw_partition", "_raw_offset")


class Finding(NamedTuple):
    """Something that is not as it must be. `code` is stable; `hour` is a label, empty when it concerns the whole type."""

    type: str
    hour: str
    code: str
    path: str
    detail: str


Progress = Callable[[str], None]


def fsck(
    store: Store, event_type: str | None = None, first: int | None = None, last: int | None = None, on_progress: Progress | None = None
) -> list[Finding]:
    """Everything wrong with the sealed hours `first` … `last` (numbers; None: all) of one type or of all, and with their commit chains.

    `on_progress` gets the name of each thing checked. Ids are compared within each hour, and between hours up to five million rows.
    """
    findings: list[Finding] = []
    for name in types(store) if event_type is None else [event_type]:
        check = _TypeCheck(store, name, findings, on_progress or (lambda _what: None))
        check.run(first, last)
    return findings


class _TypeCheck:
    """The checks of one event type; findings go to one list."""

    def __init__(self, store: Store, event_type: str, findings: list[Finding], progress: Progress) -> None:
        self._store, self._type, self._findings, self._progress = store, event_type, findings, progress
        self._counts: dict[int, HourCount] = {}
        self._ids: list[Any] = []

    def run(self, first: int | None, last: int | None) -> None:
        decided = sealed_hours(self._store, self._type)
        self._progress(f"{self._type}: commit chains")
        for name in self._store.folders(f"{layout.COMMITS}/{self._type}"):
            self._chain(int(name.removeprefix("p")), decided[-1] if decided else None)
        self._order(decided)
        self._strays(decided)
        for hour in decided:
            if (first is None or hour >= first) and (last is None or hour <= last):
                self._progress(f"{self._type} {label(hour)}")
                self._hour(hour, newest=hour == decided[-1])
        if self._ids and len(joined := np.concatenate(self._ids)) != len(np.unique(joined)):
            self._find("", "duplicate_ids", layout.EVENTS, f"{len(joined) - len(np.unique(joined))} events stand in more than one hour")

    def _find(self, hour: str, code: str, path: str, detail: str) -> None:
        self._findings.append(Finding(self._type, hour, code, path, detail))

    # -- chains

    def _chain(self, partition: int, sealed: int | None) -> None:
        folder, where = layout.commits(self._type, partition), Partition(self._type, partition)
        chain, expected, previous = CommitChain(self._store), 0, ""
        barriers: list[CleanBarrier] = []
        for name in self._store.names(folder):
            path = f"{folder}/{name}"
            try:
                found = chain.entry(where, int(name.removesuffix(".json")))
            except (ChainConflict, ValueError) as exc:
                self._find("", "chain_unreadable", path, str(exc))
                return
            assert found is not None  # it was listed
            entry, data = found
            if entry.first != expected:
                self._find("", "chain_gap", path, f"clean offsets {expected}..{entry.first} are in no entry")
            if entry.previous != previous:
                self._find("", "chain_broken", path, "names another entry as the one before it")
            expected, previous = entry.next, digest(data)
            self._add(entry, sealed)
            barriers += entry.barriers
        for one, two in itertools.pairwise(barriers):
            if two.hour <= one.hour or (two.source, two.offset) <= (one.source, one.offset):
                self._find(label(two.hour), "barrier_order", folder, f"barrier at raw offset {two.offset} comes after {one.offset}")

    def _add(self, entry: CommitEntry, sealed: int | None) -> None:
        for hour, count in entry.hours.items():
            total = self._counts.setdefault(hour, HourCount())
            total.written += count.written
            total.poisoned += count.poisoned
        for part in entry.parts:
            if sealed is None or part.hour > sealed:  # parts of sealed hours have done their work and may be swept away
                self._file(label(part.hour), part.path, Stored(part.bytes, part.sha256), part.rows)

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
        for detail in _differences(manifest, plan, digest(seal), self._counts.get(hour, HourCount())):
            self._find(name, "manifest_differs", f"{folder}/{layout.MANIFEST}", detail)
        expected = {file.name for file in manifest.files} | {layout.MANIFEST, layout.SUCCESS}
        for extra in sorted(set(self._store.names(folder)) - expected):
            self._find(name, "extra_file", f"{folder}/{extra}", "is not in the manifest")
        tables = [table for file in manifest.files if (table := self._presented(name, folder, file)) is not None]
        if len(tables) == len(manifest.files):
            self._unique(name, folder, pa.concat_tables(tables))

    def _presented(self, name: str, folder: str, file: FileRef) -> Any:
        path = f"{folder}/{file.name}"
        if file.name not in self._store.names(folder):
            self._find(name, "missing_file", path, f"{file.rows} rows are gone")
            return None
        return self._file(name, path, Stored(file.bytes, file.sha256), file.rows)

    def _file(self, name: str, path: str, said: Stored, rows: int) -> Any:
        """The key columns of a file that is what it was said to be; None when it is not."""
        data = self._store.read(path)
        if data is None:
            self._find(name, "missing_file", path, f"{rows} rows are gone")
            return None
        if (len(data), digest(data)) != said:
            self._find(name, "changed_file", path, f"{len(data)} bytes, digest {digest(data)[:12]}; was {said.bytes}, {said.sha256[:12]}")
            return None
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows != rows:
            self._find(name, "wrong_rows", path, f"{file.metadata.num_rows} rows, not {rows}")
        return file.read(columns=list(_KEYS))

    def _unique(self, name: str, folder: str, table: Any) -> None:
        ids = table.column("_event_id")
        if (distinct := pc.count_distinct(ids).as_py()) != table.num_rows:
            self._find(name, "duplicate_ids", folder, f"{table.num_rows} rows, {distinct} ids")
        where = table.group_by(["_raw_partition", "_raw_offset"]).aggregate([]).num_rows
        if where != table.num_rows:
            self._find(name, "duplicate_coordinates", folder, f"{table.num_rows} rows from {where} raw records")
        if sum(map(len, self._ids)) + table.num_rows <= IDS_MOST and distinct == table.num_rows:
            self._ids.append(np.array(ids.to_pylist(), "S36"))


def _differences(manifest: Manifest, plan: Plan, seal: str, count: HourCount) -> Iterator[str]:
    """Manifest against its seal, its own sums, and the commit chains."""
    if manifest.plan != seal:
        yield "was not made from the seal of this hour"
    same = ("type", "hour", "complete", "sealed_at", "partitions", "totals", "audit")
    yield from (f"{field} is not what was decided" for field in same if getattr(manifest, field) != getattr(plan, field))
    if [(f.name, f.rows) for f in manifest.files] != [(o.name, o.rows) for o in plan.outputs]:
        yield "files are not those of the plan"
    if sum(file.rows for file in manifest.files) != manifest.totals.rows:
        yield f"files hold {sum(file.rows for file in manifest.files)} rows, totals say {manifest.totals.rows}"
    written, poisoned = (sum(getattr(a, field) for a in manifest.partitions) for field in ("written", "poisoned"))
    if (written, poisoned) != (manifest.totals.rows, manifest.totals.poisoned):
        yield f"partitions sum up to {written} rows and {poisoned} poisoned"
    if (count.written, count.poisoned) != (written, poisoned):
        yield f"the commit chains say {count.written} rows and {count.poisoned} poisoned"
    if manifest.hour and parse_label(manifest.hour) != parse_label(plan.hour):
        yield "speaks of another hour"
