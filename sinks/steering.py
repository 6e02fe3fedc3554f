"""Where the consumer reads on: partitions held and taken up again, sought back to, and what the group is told. Kafka is the spool.

Promise: after any trouble a partition is read from where its buffer says. Nothing depends on what the group is told.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

from hourmark.errors import LakeUnavailable, OffsetLost, PlatformError
from hourmark.kafka import translate
from hourmark.topics import Partition, clean_topic

from .batches import HourlyBatches
from .commits import CommitChain
from .holds import Holds

log = structlog.get_logger()

GAPS_MOST: Final = 3


class Steering:
    """Steers a consumer by the buffers of the partitions that the worker owns. `holds` says why a worker is not ready."""

    def __init__(self, consumer: Any, batches: HourlyBatches, chain: CommitChain, holds: Holds) -> None:
        self._consumer, self._batches, self._chain, self._holds = consumer, batches, chain, holds
        self._hints: dict[Partition, int] = {}
        self._gaps: dict[Partition, int] = {}

    def hold(self, partition: Partition, reason: PlatformError) -> None:
        """What is buffered is dropped and read again later."""
        self._holds.add(partition, reason)
        self._batches.drop(partition)
        self._consumer.pause([_at(partition)])

    def resume_held(self) -> None:
        """Take up again those whose time has come."""
        for partition in self._holds.due():
            try:
                self._batches.open(partition, self._chain.tip(partition))
            except LakeUnavailable as exc:
                self.hold(partition, exc)
                continue
            if self.rewind(partition):
                self._holds.reading(partition)

    def rewind(self, partition: Partition) -> bool:
        """Read on from where the buffer says. False: the client cannot seek now, the partition is held and tried again."""
        buffer = self._batches.get(partition)
        assert buffer is not None
        where = _at(partition, buffer.next)
        try:
            self._consumer.seek(where)
            self._consumer.resume([where])
        except KafkaException as exc:
            self.hold(partition, translate(exc, f"seeking {partition} to {buffer.next}"))
            return False
        return True

    def follow_gaps(self, gaps: set[Partition]) -> None:
        """The next message of a partition is missing. Offsets are dense, so seek back to it; if it stays away, it is lost."""
        for partition in gaps:
            buffer = self._batches.get(partition)
            if buffer is None:
                continue
            self._gaps[partition] = self._gaps.get(partition, 0) + 1
            if self._gaps[partition] > GAPS_MOST:
                raise OffsetLost(f"{partition}: offset {buffer.next} is missing on the clean topic", partition=partition)
            self.rewind(partition)
        if self._gaps and not gaps:
            self._gaps.clear()

    def written(self, partition: Partition, upto: int) -> None:
        """The chain has come to this offset."""
        self._hints[partition] = upto

    def tell(self) -> None:
        """Tell the group how far the chains are, for lag tools."""
        if self._hints:
            offsets = [_at(partition, upto) for partition, upto in self._hints.items()]
            self._hints.clear()
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as exc:
                log.debug("group offsets not committed", error=str(exc))

    def forget(self, partition: Partition) -> None:
        """It belongs to another worker now."""
        self._holds.forget(partition)
        self._hints.pop(partition, None)
        self._gaps.pop(partition, None)


def _at(partition: Partition, offset: int = OFFSET_INVALID) -> TopicPartition:
    return TopicPartition(clean_topic(partition.event_type), partition.number, offset)
