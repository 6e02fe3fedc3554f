"""fsck of one commit chain: contiguous from its first offset on, through checkpoints and entries; and which hour each count went into."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hourmark.errors import ChainConflict
from hourmark.event import CleanBarrier
from hourmark.topics import Partition

from . import layout
from .commits import CommitChain
from .manifest import CommitEntry, Plan, digest
from .store import Store


class Link(NamedTuple):
    entry: CommitEntry
    data: bytes


class Fault(NamedTuple):
    """`code` is one of fsck's."""

    code: str
    path: str
    detail: str


class Presented(NamedTuple):
    """What one plan says of which entries went into its hour. `owed`: clean partition → entries from this offset on did not."""

    partitions: int
    owed: Mapping[int, int]


def presented(plan: Plan) -> Presented:
    return Presented(len(plan.resume), {p: resume.owed.entry for p, resume in plan.resume.items() if resume.owed is not None})


def goes_into(hours: Mapping[int, Presented], partition: int, first: int, hour: int) -> int | None:
    """The hour that presents what the entry at `first` holds of `hour`. None: no hour in `hours` (consecutive ones) does.

    It is the hour itself unless it was sealed by force before this entry came: then the next one that includes it.
    """
    while (plan := hours.get(hour)) is not None:
        if partition < plan.partitions and first < plan.owed.get(partition, first + 1):
            return hour
        hour += 1
    return None


def walk(store: Store, where: Partition) -> Iterator[Link | Fault]:
    """All links in order, and what is wrong between them. Stops at what cannot be read."""
    chain, folder = CommitChain(store), layout.commits(*where)
    expected, previous = 0, ""
    for item in _links(store, chain, where):
        if isinstance(item, Fault):
            yield item
            return
        path = f"{folder}/{layout.entry_name(item.entry.first)}"
        if item.entry.first != expected:
            yield Fault("chain_gap", path, f"clean offsets {expected}..{item.entry.first} are in no entry")
        if item.entry.previous != previous:
            yield Fault("chain_broken", path, "names another entry as the one before it")
        expected, previous = item.entry.next, digest(item.data)
        yield item


def _links(store: Store, chain: CommitChain, where: Partition) -> Iterator[Link | Fault]:
    folder, start = layout.commits(*where), chain.checkpoint(where)
    path = layout.checkpoints(*where)
    try:
        ends, end = [], start
        while end:
            ends.append(end)
            end = chain.checkpointed(where, end)[0][0].first
        for end in reversed(ends):
            yield from (Link(*link) for link in chain.checkpointed(where, end))
        for name in store.names(folder):
            path = f"{folder}/{name}"
            if layout.offset_of(name) < start:
                continue  # stands in a checkpoint, or was written by a zombie after it did
            found = chain.entry(where, layout.offset_of(name))
            if found is not None:
                yield Link(*found)
            elif chain.checkpoint(where) == start:
                raise ChainConflict("listed, and not there")
            else:
                return  # a checkpoint was made meanwhile: what follows is as sound as when it was sealed
    except (ChainConflict, ValueError) as exc:
        yield Fault("chain_unreadable", path, str(exc))


def disordered(barriers: list[CleanBarrier]) -> Iterator[tuple[CleanBarrier, CleanBarrier]]:
    """Neighbours that do not come one after the other."""
    for one, two in itertools.pairwise(barriers):
        if two.hour <= one.hour or (two.source, two.offset) <= (one.source, one.offset):
            yield one, two
