"""Letting the commit chains of a type go on with another clean log: Kafka was lost, and its topics were made anew.

What the lake has stays as it is. The hours that were open are sealed with what the lake had of them, and say `complete: false`. Refuses:
logs that hold anything older than the lake's end, for it may stand in the lake already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from hourmark.errors import OffsetLost
from hourmark.topics import Partition

from . import layout
from .books import iso
from .clean_log import Extent
from .commits import CommitChain, Tip
from .manifest import CommitEntry, Seam
from .store import Store


class Logs(Protocol):
    """What is needed of CleanLogs."""

    def check(self, tips: Mapping[Partition, Tip]) -> None: ...
    def extents(self, partitions: list[Partition]) -> dict[Partition, Extent]: ...
    def appended(self, offsets: Mapping[Partition, int]) -> dict[Partition, int]: ...


class NoSeam(ValueError):
    """The type's chains must not go on with these logs; the message says why and what to do."""


class Sewn(NamedTuple):
    """One chain. `position`: where the other log begins in it. `before_ms`: when the last record that the lake has was appended."""

    partition: int
    position: int
    before_ms: int


def sew(store: Store, logs: Logs, event_type: str, width: int, by: str, *, dry: bool = False) -> list[Sewn]:
    """Every chain of the type whose log is another one goes on at offset 0 of that. Returns these; none: all logs are what they were.

    `width`: partitions that the clean topic has. Safe to repeat, and while sink workers run. Raises NoSeam, Unavailable, ChainConflict.
    """
    chain = CommitChain(store)
    tips = {partition: chain.tip(partition) for partition in partitions(store, event_type)}
    if tips and max(partition.number for partition in tips) >= width:
        told = f"the lake has {len(tips)} partitions of {event_type}, its clean topic {width}"
        raise NoSeam(f"{told}: declare it with `partitions: {len(tips)}`, then again")
    cut = {partition: tip for partition, tip in tips.items() if _is_cut(logs, partition, tip)}
    extents = logs.extents(list(cut))
    first = logs.appended({partition: 0 for partition, extent in extents.items() if extent.begin == 0 < extent.end})
    for partition, tip in cut.items():
        _check(partition, tip, extents[partition], first.get(partition))
    if not dry:
        for partition, tip in cut.items():
            chain.extend(tip, _entry(partition, tip, by))
    return [Sewn(partition.number, tip.next + 1, tip.appended_ms) for partition, tip in cut.items()]


def partitions(store: Store, event_type: str) -> list[Partition]:
    """Those that have a commit chain."""
    names = {*store.folders(f"{layout.COMMITS}/{event_type}"), *store.folders(f"{layout.CHECKPOINTS}/{event_type}")}
    return [Partition(event_type, int(name.removeprefix("p"))) for name in sorted(names)]


def _is_cut(logs: Logs, partition: Partition, tip: Tip) -> bool:
    try:
        logs.check({partition: tip})
    except OffsetLost:
        return True
    return False


def _check(partition: Partition, tip: Tip, extent: Extent, first_ms: int | None) -> None:
    where = f"{partition.event_type}[{partition.number}]"
    if extent.begin:
        raise NoSeam(f"the clean log of {where} begins at {extent.begin}: what it held before is gone, so nobody knows what that was")
    if not tip.appended_ms:
        raise NoSeam(f"the lake does not say when the last record of {where} was appended: it was written by an older release")
    if first_ms is not None and first_ms <= tip.appended_ms:
        raise NoSeam(
            f"the clean log of {where} begins at {iso(first_ms)}, before the lake's last record of {iso(tip.appended_ms)}: it may be "
            "the log that the lake was written from, put back from an older moment. docs/runbooks/kafka-lost.md says what to do with it"
        )


def _entry(partition: Partition, tip: Tip, by: str) -> CommitEntry:
    return CommitEntry(
        type=partition.event_type,
        partition=partition.number,
        first=tip.next,
        next=tip.next + 1,
        mark=None,
        closed=tip.closed,
        parts=[],
        hours={},
        barriers=[],
        repeats=0,
        foreign=0,
        previous=tip.digest,
        writer=by,
        appended_ms=tip.appended_ms,
        seam=Seam(position=tip.next + 1, before_ms=tip.appended_ms, closed=tip.closed),
    )
