"""Lag by event type on a sink worker's page: unread records, and all of a partition that is on hold."""

from __future__ import annotations

import uuid

from confluent_kafka import TopicPartition
from prometheus_client import REGISTRY

from hourmark.event import STAMP, STAMP_VERSION, frame
from hourmark.topics import Partition
from sinks.batches import HourlyBatches
from sinks.commits import Tip
from sinks.lag import Lag


class Ends:
    """A consumer that knows where logs end."""

    def __init__(self, ends: dict[int, int]) -> None:
        self.ends = ends

    def get_watermark_offsets(self, where: TopicPartition, cached: bool) -> tuple[int, int] | None:
        assert cached  # nobody may be asked here
        return (0, self.ends[where.partition]) if where.partition in self.ends else None


def shown(name: str) -> tuple[float | None, float | None]:
    labels = {"event_type": name}
    records = REGISTRY.get_sample_value("hourmark_sink_lag_records", labels)
    return records, REGISTRY.get_sample_value("hourmark_sink_lag_seconds", labels)


def test_what_is_not_read_yet_counts_and_what_is_held_counts_whole() -> None:
    name = f"t{uuid.uuid4().hex[:8]}.thing"
    batches = HourlyBatches(1 << 20, 1 << 20)
    one, two = Partition(name, 0), Partition(name, 1)
    buffer = batches.open(one, Tip())
    batches.open(two, Tip())
    value = frame(1) + bytes(16)
    buffer.add([value] * 3, [STAMP.pack(STAMP_VERSION, 1, 0, number, 990_000, 0, 0) for number in range(3)])
    consumer = Ends({0: 5, 1: 0})
    lag = Lag(consumer, batches, now=lambda: 1000.0, every_s=0.0)
    lag.show([])
    assert shown(name) == (2, 10)
    lag.show([one])  # what was read is dropped, and read again
    assert shown(name) == (5, 10)
    consumer.ends = {0: 3, 1: 0}
    lag.show([])
    assert shown(name) == (0, 0)
    batches.drop(one)
    batches.drop(two)
    lag.show([])
    assert shown(name) == (None, None)
