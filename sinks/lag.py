"""The worker's lag by event type on its metrics page: clean records that are not read, and the age of the oldest. Asks no broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition

from hourmark.lag import LagBook, LagPage
from hourmark.topics import Partition, clean_topic

from . import telemetry
from .batches import HourlyBatches

EVERY_S: Final = 5.0


class Lag:
    """`show` as often as you like: it looks every `every_s`. A partition on hold is read again from its tip: all of it is unread."""

    def __init__(self, consumer: Any, batches: HourlyBatches, now: Callable[[], float] = time.time, every_s: float = EVERY_S) -> None:
        self._consumer, self._batches, self._now = consumer, batches, now
        self._book = LagBook()
        self._next: dict[Partition, int] = {}
        self._page = LagPage(telemetry.LAG, telemetry.LAG_SECONDS)
        self._at, self._every_s = 0.0, every_s

    def show(self, held: Iterable[Partition]) -> None:
        moment = time.monotonic()
        if moment < self._at:
            return
        self._at = moment + self._every_s
        held = set(held)
        for buffer in self._batches:
            self._next[buffer.partition] = buffer.next if buffer.partition not in held else buffer.tip.offset
            if buffer.newest_ms:
                self._book.read(buffer.partition, buffer.newest_ms)
        mine = held | {buffer.partition for buffer in self._batches}
        self._next = {partition: upto for partition, upto in self._next.items() if partition in mine}
        self._book.keep(set(mine))
        self._tell(held)

    def _tell(self, held: set[Partition]) -> None:
        now = self._now()
        records: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for partition, upto in self._next.items():
            end = self._end(partition)
            if end is None:
                continue
            name, behind = partition.event_type, max(0, end - upto, int(partition in held))
            records[name] = records.get(name, 0) + behind
            seconds[name] = max(seconds.get(name, 0.0), self._book.look(partition, behind, now))
        self._page.show(records, seconds)

    def _end(self, partition: Partition) -> int | None:
        """Of the log, as the last fetch told."""
        try:
            found = self._consumer.get_watermark_offsets(TopicPartition(clean_topic(partition.event_type), partition.number), cached=True)
        except KafkaException:
            return None
        return found[1] if found is not None and found[1] >= 0 else None
