"""The sink without Kafka: the same parts as in worker.py, fed by hand. What `consume` would return goes straight into a buffer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hourmark.event import STAMP_HEADER, read_clean_barrier
from hourmark.hours import Hours
from hourmark.schemas import EventType, WireSchema
from hourmark.topics import Partition
from sinks.batches import PartitionBuffer
from sinks.catalogue import FixedCatalogue, Schemas
from sinks.commits import CommitChain
from sinks.decode import RowDecoder
from sinks.flush import Flushed, Flusher, Shapes
from sinks.seal import Sealer
from tests.sinks.fakes import Clean, DictStore, Feed, ListOutbox, snapshot_of


class Room:
    """One sink worker's parts on a lake. `drain(feed)` does what a worker does with a partition, flushing every `step` records."""

    def __init__(self, *entries: EventType | WireSchema, store: Any = None, now: float = 2e9, writer: str = "w") -> None:
        self.store = store if store is not None else DictStore()
        self.catalogue = FixedCatalogue(snapshot_of(*entries))
        self.type = next(entry.event for entry in entries if isinstance(entry, EventType))
        self.outbox = ListOutbox()
        self.shapes = Shapes(Schemas(self.catalogue, "http://127.0.0.1:1", 0.0))
        self.chain = CommitChain(self.store)
        self.flusher = Flusher(self.store, self.shapes, RowDecoder(), self.outbox, writer)
        self.now = now
        self.sealer = Sealer(self.store, self.catalogue, self.shapes, self.outbox, Hours(), lambda: self.now)

    def buffer(self, partition: int) -> PartitionBuffer:
        where = Partition(self.type, partition)
        return PartitionBuffer(where, self.chain.tip(where))

    def drain(self, feed: Feed, step: int = 1000) -> list[Flushed]:
        flushed, where = [], Partition(self.type, feed.partition)
        while (start := self.chain.tip(where).next) < len(feed.out):
            buffer = self.buffer(feed.partition)
            put(buffer, feed.out[start : start + step])
            flushed.append(self.flusher.flush(buffer, 0))
        return flushed

    def seal(self) -> int:
        """As a worker that takes over partition 0 now."""
        self.sealer.adopt(self.type)
        return self.sealer.step(time.monotonic() + 60)


def put(buffer: PartitionBuffer, records: Sequence[Clean]) -> None:
    values: list[bytes] = []
    stamps: list[bytes] = []
    for value, headers in records:
        if value is not None:
            assert headers[0][0] == STAMP_HEADER
            values.append(value)
            stamps.append(headers[0][1])
            continue
        if values:
            buffer.add(values, stamps)
            values, stamps = [], []
        barrier = read_clean_barrier(headers)
        assert barrier is not None
        buffer.close(barrier)
    if values:
        buffer.add(values, stamps)
