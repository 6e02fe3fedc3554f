"""Takes away what has done its work in the lake's bookkeeping: staged parts, files that a crash left. Never what a writer may still name.

A part may go when it is old and either no entry of the chain names it and the chain is past it, so that nobody can name it any more, or its
hour is presented: then its rows stand in the published files, from which everything is proved and rebuilt (decision 0010).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from hourmark.topics import Partition

from . import layout
from .commits import CommitChain
from .manifest import Plan
from .store import Store
from .watermarks import decided, watermark

UNNAMED: Final = "unnamed"
PRESENTED: Final = "presented"
STAGING: Final = "staging"


class Waste(NamedTuple):
    """A file that may go. `kind`: `unnamed` parts, parts of `presented` hours, `staging` of writers that died."""

    path: str
    kind: str


class Standing(NamedTuple):
    """How far a type is presented: its newest presented hour and the plan of that."""

    hour: int
    plan: Plan


def standing(store: Store, event_type: str) -> Standing | None:
    """None: no hour of the type is presented yet."""
    hour = watermark(store, event_type)
    return None if hour is None else Standing(hour, decided(store, event_type, hour))


def waste(store: Store, partition: Partition, stands: Standing | None, before: float) -> Iterator[Waste]:
    """Parts of one partition that may go, of those written before `before` (s since 1970). Listed first, judged by the chain afterwards."""
    folder = layout.parts(*partition)
    old = [name for name, written in sorted(store.aged(folder).items()) if written < before]
    if not old:
        return
    chain = CommitChain(store)
    end, start = chain.tip(partition).next, chain.checkpoint(partition)
    named: Mapping[str, bool] = {}
    first = -1
    for name in old:
        try:
            offset, hour = layout.offset_of(name), layout.hour_of_part(name)
        except ValueError:
            continue  # not ours: fsck's business
        if offset >= end:
            continue  # a writer at the tip may name it yet
        if offset != first:
            first, named = offset, {} if offset < start else _named(chain, partition, offset)
        path = f"{folder}/{name}"
        if path not in named and offset >= start:
            yield Waste(path, UNNAMED)
        elif offset < start or (stands is not None and _is_presented(stands, partition, offset, hour)):
            yield Waste(path, PRESENTED)  # a checkpoint holds nothing but entries whose hours are presented


def _named(chain: CommitChain, partition: Partition, first: int) -> Mapping[str, bool]:
    """Parts that the entry at this offset names. No entry begins there: nobody ever can, for the chain is past it."""
    found = chain.entry(partition, first)
    return dict.fromkeys((part.path for part in found[0].parts), True) if found is not None else {}


def _is_presented(stands: Standing, partition: Partition, first: int, hour: int) -> bool:
    """Its hour is presented with it. What came after an hour was sealed by force is presented with a later one."""
    resume = stands.plan.resume.get(partition.number)
    owed = resume.owed if resume is not None else None
    return resume is not None and hour <= stands.hour and (owed is None or first < owed.entry)


def staging(store: Store, before: float) -> Iterator[Waste]:
    """What writers that died left in staging."""
    old = (name for name, written in sorted(store.aged(layout.STAGING).items()) if written < before)
    yield from (Waste(f"{layout.STAGING}/{name}", STAGING) for name in old)
    for name in store.folders(layout.STAGING):
        files = store.aged(f"{layout.STAGING}/{name}")
        if files and max(files.values()) < before:
            yield Waste(f"{layout.STAGING}/{name}", STAGING)


def of_lake(store: Store, event_types: Iterable[str], before: float, *, with_staging: bool = True) -> Iterator[Waste]:
    """All that may go of these types."""
    for event_type in event_types:
        stands = standing(store, event_type)
        for name in store.folders(f"{layout.PARTS}/{event_type}"):
            yield from waste(store, Partition(event_type, int(name.removeprefix("p"))), stands, before)
    if with_staging:
        yield from staging(store, before)
