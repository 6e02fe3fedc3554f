"""Many old entries of a commit chain become one checkpoint, verbatim: the chain stays provable from its first offset on.

Only entries all of whose hours are sealed. Order: checkpoint durable → its entries taken away; safe to do twice, by anyone, at any time.
Refuses: to touch what a sealer or a writer may still need (decision 0010).
"""

from __future__ import annotations

from typing import Final

from hourmark.crashpoints import crashpoint
from hourmark.topics import Partition

from . import layout
from .commits import CommitChain
from .manifest import Checkpoint, CommitEntry, digest, encode
from .store import Store

AT_MOST: Final = 1000  # entries of one checkpoint


def compact(store: Store, partition: Partition, upto: int, least: int = 2) -> int:
    """Move the entries that end at or before the clean offset `upto` into checkpoints; nothing when they are fewer than `least`.

    `upto` must be the `resume` of a presented hour's plan. Returns how many files have gone.
    """
    chain = CommitChain(store)
    start = chain.checkpoint(partition)
    links = _settled(chain, partition, start, upto)
    if links and len(links) >= least and chain.checkpoint(partition) == start:  # else another is at it: what was read may be a zombie's
        checkpoint = Checkpoint(
            type=partition.event_type,
            partition=partition.number,
            first=start,
            next=links[-1][0].next,
            previous=links[0][0].previous,
            entries=[data.decode() for _, data in links],
        )
        store.create(f"{layout.checkpoints(*partition)}/{layout.entry_name(checkpoint.next)}", encode(checkpoint))
        crashpoint("sink.checkpoint_created")
    return clear(store, partition)


def clear(store: Store, partition: Partition, at_most: int = 2 * AT_MOST) -> int:
    """Take away entries that stand in a checkpoint, and what zombies have written in their place. Returns how many."""
    folder, end = layout.commits(*partition), CommitChain(store).checkpoint(partition)
    gone = [name for name in store.names(folder) if layout.offset_of(name) < end][:at_most]
    for name in gone:
        store.remove(f"{folder}/{name}")
    return len(gone)


def _settled(chain: CommitChain, partition: Partition, start: int, upto: int) -> list[tuple[CommitEntry, bytes]]:
    """The entries from `start` on that end at or before `upto`, as far as they continue one another."""
    previous = digest(chain.checkpointed(partition, start)[-1][1]) if start else ""
    links: list[tuple[CommitEntry, bytes]] = []
    position = start
    while len(links) < AT_MOST and position < upto:
        found = chain.entry(partition, position)
        if found is None or found[0].previous != previous or found[0].next > upto:
            break
        links.append(found)
        position, previous = found[0].next, digest(found[1])
    return links[:-1]  # one stays, so that the tip is found without reading a checkpoint
