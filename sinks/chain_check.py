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
    """Checkpoints, then entries. When a checkpoint is made meanwhile, on from where we are."""
    path, position, again = layout.checkpoints(*where), 0, False
    try:
        while True:
            start = chain.checkpoint(where)
            for link in _checkpointed(chain, where, start, position):
                position = link.entry.next
                yield link
            floor = max(start, position if again else 0)
            again = False
            for name in store.names(layout.commits(*where)):
                path = f"{layout.commits(*where)}/{name}"
                if layout.offset_of(name) < floor:
                    continue  # stands in a checkpoint, or was written by a zombie after it did
                found = chain.entry(where, layout.offset_of(name))
                if found is None and chain.checkpoint(where) == start:
                    raise ChainConflict("listed, and not there")
                if found is None:
                    again = True
                    break
                position = found[0].next
                yield Link(*found)
            if not again:
                return
    except (ChainConflict, ValueError) as exc:
        yield Fault("chain_unreadable", path, str(exc))


def _checkpointed(chain: CommitChain, where: Partition, end: int, position: int) -> Iterator[Link]:
    """The links from `position` on that stand in checkpoints, of which the newest ends at `end`."""
    ends = []
    while end > position:
        ends.append(end)
        end = chain.checkpointed(where, end)[0][0].first
    for end in reversed(ends):
        yield from (Link(*link) for link in chain.checkpointed(where, end) if link[0].first >= position)


def disordered(barriers: list[CleanBarrier]) -> Iterator[tuple[CleanBarrier, CleanBarrier]]:
    """Neighbours that do not come one after the other."""
    for one, two in itertools.pairwise(barriers):
        if two.hour <= one.hour or (two.source, two.offset) <= (one.source, one.offset):
            yield one, two
