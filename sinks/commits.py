"""The commit chain: the truth about what has been written of a clean partition, one immutable entry after the other.

Entry n+1 is named by the offset at which entry n ends, and created only if absent: two workers can never both continue a chain. Old
entries are moved into checkpoints (compaction.py). Refuses: an entry that does not continue the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hourmark.errors import ChainConflict, LakeUnavailable
from hourmark.topics import Partition

from . import layout
from .manifest import Checkpoint, CommitEntry, Mark, Seam, decode, digest, encode
from .store import Store

TRIES = 5


class Tip(NamedTuple):
    """State of a partition after its newest entry. `next`: the position to go on from. `first`, `digest`: of that entry; empty for none."""

    next: int = 0
    mark: Mark | None = None
    closed: int | None = None
    digest: str = ""
    appended_ms: int = 0
    seam: Seam | None = None
    first: int = 0

    @property
    def shift(self) -> int:
        """The position of the clean log's offset 0."""
        return self.seam.position if self.seam is not None else 0

    @property
    def offset(self) -> int:
        """The clean offset to go on from."""
        return self.next - self.shift


def tip_after(entry: CommitEntry, data: bytes) -> Tip:
    return Tip(entry.next, entry.mark, entry.closed, digest(data), entry.appended_ms, entry.seam, entry.first)


class CommitChain:
    """Reads and extends the commit chains of a lake. Keeps no state: the lake is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tip(self, partition: Partition) -> Tip:
        """State after the newest entry; an empty Tip when there is none. Raises ChainConflict when the entry cannot be what it says.

        Entries are listed before checkpoints: what is listed at or above the newest checkpoint was never taken away, so it is no zombie's.
        """
        for _ in range(TRIES):
            names = self._store.names(layout.commits(*partition))
            start = self.checkpoint(partition)
            if names and layout.offset_of(names[-1]) >= start:
                found = self.entry(partition, layout.offset_of(names[-1]))
                if found is not None:
                    return tip_after(*found)
            elif start:
                return tip_after(*self.checkpointed(partition, start)[-1])
            else:
                return Tip()
        raise LakeUnavailable(f"{layout.commits(*partition)}: its entries go away while they are read", path=layout.commits(*partition))

    def checkpoint(self, partition: Partition) -> int:
        """The offset up to which the chain's entries stand in checkpoints; 0 when there are none."""
        names = self._store.names(layout.checkpoints(*partition))
        return layout.offset_of(names[-1]) if names else 0

    def checkpointed(self, partition: Partition, end: int) -> list[tuple[CommitEntry, bytes]]:
        """The entries of the checkpoint that ends at `end`, verbatim. Raises ChainConflict when it is not what it says."""
        path = f"{layout.checkpoints(*partition)}/{layout.entry_name(end)}"
        data = self._store.read(path)
        try:
            if data is None:
                raise ValueError("it is gone")
            checkpoint = decode(Checkpoint, data)
            links = [(decode(CommitEntry, text.encode()), text.encode()) for text in checkpoint.entries]
        except (msgspec.DecodeError, ValueError) as exc:
            raise ChainConflict(f"{path} is no checkpoint: {exc}", path=path) from exc
        if (checkpoint.type, checkpoint.partition, checkpoint.next) != (*partition, end) or not _contiguous(links, checkpoint):
            raise ChainConflict(f"{path} does not hold the entries {checkpoint.first}..{checkpoint.next}", path=path)
        return links

    def entry(self, partition: Partition, first: int) -> tuple[CommitEntry, bytes] | None:
        """The entry that starts at this clean offset, and its bytes; None when there is none, or it stands in a checkpoint."""
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
        Our own entry from before a crash counts as ours, if it is the same bytes. Raises ChainConflict when the chain no longer reaches up
        to `tip`: the lake was put back from an older moment under our hands, and what is missing would never be written again.
        """
        if entry.first != tip.next or entry.next <= entry.first or entry.previous != tip.digest:
            raise ChainConflict(
                f"{entry.type}[{entry.partition}]: entry {entry.first}..{entry.next} does not continue a chain that ends at {tip.next}",
                event_type=entry.type,
                partition=entry.partition,
            )
        partition, data = Partition(entry.type, entry.partition), encode(entry)
        self._refuse_torn(partition, tip)
        created = self._store.create(f"{layout.commits(*partition)}/{layout.entry_name(entry.first)}", data)
        found = (entry, data) if created else self.entry(partition, entry.first)
        # A name that a checkpoint has freed can be created again, by a zombie. Checked after the creation: names are freed after the
        # checkpoint stands, so whoever could create a freed name finds it. What it has written is never read (decision 0010).
        if found is None or self.checkpoint(partition) > entry.first:
            return self.tip(partition), False
        return tip_after(*found), found[1] == data

    def _refuse_torn(self, partition: Partition, tip: Tip) -> None:
        if not tip.digest:
            return
        path = f"{layout.commits(*partition)}/{layout.entry_name(tip.first)}"
        data = self._store.read(path)
        if (data is None or digest(data) != tip.digest) and self.checkpoint(partition) < tip.next:
            raise ChainConflict(f"{path} has gone under a running worker: the lake was put back from an older moment", path=path)


def _contiguous(links: list[tuple[CommitEntry, bytes]], checkpoint: Checkpoint) -> bool:
    where = (checkpoint.type, checkpoint.partition)
    expected, previous = checkpoint.first, checkpoint.previous
    for entry, data in links:
        if (entry.type, entry.partition, entry.first, entry.previous) != (*where, expected, previous):
            return False
        expected, previous = entry.next, digest(data)
    return bool(links) and expected == checkpoint.next
