"""The commit chain: the truth about what has been written of a clean partition, one immutable entry after the other.

Entry n+1 is named by the offset at which entry n ends, and created only if absent: two workers can never both continue a chain.
Refuses: an entry that does not continue the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hourmark.errors import ChainConflict
from hourmark.topics import Partition

from . import layout
from .manifest import CommitEntry, Mark, decode, digest, encode
from .store import Store


class Tip(NamedTuple):
    """State of a partition after its newest entry. `next`: the clean offset to go on from. `digest`: of that entry, empty for none."""

    next: int = 0
    mark: Mark | None = None
    closed: int | None = None
    digest: str = ""


def tip_after(entry: CommitEntry, data: bytes) -> Tip:
    return Tip(entry.next, entry.mark, entry.closed, digest(data))


class CommitChain:
    """Reads and extends the commit chains of a lake. Keeps no state: the lake is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tip(self, partition: Partition) -> Tip:
        """State after the newest entry; an empty Tip when there is none. Raises ChainConflict when the entry cannot be what it says."""
        folder = layout.commits(*partition)
        names = self._store.names(folder)
        if not names:
            return Tip()
        found = self.entry(partition, int(names[-1].removesuffix(".json")))
        assert found is not None  # names are never taken away
        return tip_after(*found)

    def entry(self, partition: Partition, first: int) -> tuple[CommitEntry, bytes] | None:
        """The entry that starts at this clean offset, and its bytes."""
        path = f"{layout.commits(*partition)}/{layout.entry_name(first)}"
        data = self._store.read(path)
        if data is None:
            return None
        try:
            entry = decode(CommitEntry, data)
        except msgspec.DecodeError as exc:
            raise ChainConflict(f"{path} is no commit entry: {exc}", path=path) from exc
        if (entry.type, entry.partition, entry.first) != (*partition, first) or entry.next <= first:
            raise ChainConflict(f"{path} speaks of {entry.type}[{entry.partition}] {entry.first}..{entry.next}", path=path)
        return entry, data

    def extend(self, tip: Tip, entry: CommitEntry) -> tuple[Tip, bool]:
        """Append `entry` after `tip`. Returns the tip that now follows, and True when it is ours.

        False: another worker has written an entry here. Its tip is returned; the caller drops what it had and goes on from there.
        Our own entry from before a crash counts as ours, if it is the same bytes.
        """
        if entry.first != tip.next or entry.next <= entry.first or entry.previous != tip.digest:
            raise ChainConflict(
                f"{entry.type}[{entry.partition}]: entry {entry.first}..{entry.next} does not continue a chain that ends at {tip.next}",
                event_type=entry.type,
                partition=entry.partition,
            )
        partition, data = Partition(entry.type, entry.partition), encode(entry)
        if self._store.create(f"{layout.commits(*partition)}/{layout.entry_name(entry.first)}", data):
            return tip_after(entry, data), True
        found = self.entry(partition, entry.first)
        assert found is not None  # it exists, and names are never taken away
        winner, winner_data = found
        return tip_after(winner, winner_data), winner_data == data
