"""Progress of the assigned partitions since the last rewind, and the polls that belong to it.

A rewind or revocation makes a new ledger; polls of an older one are stale: whatever they hold is read again, by us or by another worker.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from faust.types import TP

from dedup.deduplicator import PartitionState
from hourmark.errors import InvariantBroken


class Ledger:
    """`states`: after the newest finished poll of each partition. `reading`: next offset to be fetched.

    `closing`: no further poll may be begun. `stale`: nothing of it may be written or committed any more.
    """

    def __init__(self, states: dict[TP, PartitionState], reading: dict[TP, int]) -> None:
        self.states, self.reading = states, reading
        self.done = dict(reading)
        self.closing = False
        self.stale = False
        self.spans: dict[TP, deque[Span]] = {tp: deque() for tp in reading}
        self.due: dict[TP, Progress] = {}

    def begin(self, poll: Poll) -> None:
        """The poll is on its way to the agent."""
        for tp, records in poll.slices.items():
            self.spans[tp].append(Span(poll, records[-1].offset + 1))

    def give_back(self, poll: Poll) -> None:
        """The newest poll never reached the agent."""
        for tp in poll.slices:
            if self.spans[tp] and self.spans[tp][-1].poll is poll:
                self.spans[tp].pop()

    def finish(self, poll: Poll, after: dict[TP, PartitionState]) -> None:
        """What these partitions of the poll came to is acknowledged by the brokers; `after`: the states behind it."""
        self.states.update(after)
        for tp, state in after.items():
            span = self.spans[tp].popleft()
            if span.poll is not poll:
                raise InvariantBroken(f"{tp.topic}[{tp.partition}] was finished out of order", topic=tp.topic, partition=tp.partition)
            self.due[tp] = Progress(span.next_offset, state)
            self.done[tp] = span.next_offset
            del poll.slices[tp]

    def settled(self, committed: dict[TP, Progress]) -> None:
        """These are committed; what was finished meanwhile stays due."""
        for tp, progress in committed.items():
            if self.due.get(tp) is progress:
                del self.due[tp]


class Poll:
    """One unit of work: `slices` by partition, each with its records in offset order, as long as they are not finished; `size` at first."""

    __slots__ = ("ledger", "size", "slices")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.slices: dict[TP, list[Any]] = {}
        self.size = 0

    def add(self, tp: TP, records: list[Any]) -> None:
        """The next records of a partition, right behind those already here."""
        known = self.slices.get(tp)
        if known is None:
            self.slices[tp] = records
        else:
            known += records
        self.size += len(records)


class Span(NamedTuple):
    """A poll's share of one partition, which ends before `next_offset`."""

    poll: Poll
    next_offset: int


class Progress(NamedTuple):
    """An offset and the state below it, which only ever travel together."""

    next_offset: int
    state: PartitionState
