"""What the receiver counts. Advanced once per request and event type, never per event; labels are types, codes and tiers."""

from __future__ import annotations

from collections import Counter as Tallies
from collections.abc import Iterable
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from hourmark.hours import label
from hourmark.metrics import Counter, Gauge, Histogram

EVENTS = Counter("hourmark_receiver_events", "Events stored or parked; parked ones have the type `unknown`", ["event_type", "verdict"])
REJECTED_EVENTS = Counter("hourmark_receiver_rejected", "Rejected events by code", ["code"])
RETRIES = Counter("hourmark_receiver_retries", "Events answered `retry`, by code", ["code"])
COPIES = Counter("hourmark_receiver_copies", "Copies of an id within one request, dropped", ["kind"])
BYTES = Counter("hourmark_receiver_stored_bytes", "Bytes of values stored", ["event_type"])
BODY_BYTES = Counter("hourmark_receiver_body_bytes", "Decoded bytes of requests")
REQUESTS = Counter("hourmark_receiver_requests", "Requests by answer", ["status"])
REFUSALS = Counter("hourmark_receiver_refusals", "Requests refused as a whole, by code", ["code"])
ACK_SECONDS = Histogram(
    "hourmark_receiver_ack_seconds",
    "From produce to the last acknowledgement of a request",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
INFLIGHT = Gauge("hourmark_receiver_inflight_bytes", "Bytes waiting for Kafka's acknowledgement", ["tier"])
READING = Gauge("hourmark_receiver_reading_bytes", "Bytes of bodies being read")

UNKNOWN: Final = "unknown"
_KEPT_HOURS: Final = 4


class TypeMeasures:
    """The counters of one event type, looked up once."""

    __slots__ = ("bytes", "stored")

    def __init__(self, event_type: str) -> None:
        self.stored = EVENTS.labels(event_type, "stored")
        self.bytes = BYTES.labels(event_type)


class Acked(Collector):
    """Acknowledged events by (type, partition, append hour): the audit compares them with what the dedup worker consumed.

    Only the newest hours are shown: they are what is still open.
    """

    def __init__(self) -> None:
        self._counts: dict[int, Tallies[tuple[str, int]]] = {}

    def add(self, hour: int, event_type: str, partitions: Iterable[int]) -> None:
        tallies = self._counts.get(hour)
        if tallies is None:
            tallies = self._counts[hour] = Tallies()
            for old in sorted(self._counts)[:-_KEPT_HOURS]:
                del self._counts[old]
        for partition, count in Tallies(partitions).items():
            tallies[event_type, partition] += count

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "hourmark_receiver_acked", "Events acknowledged by Kafka, by append hour", labels=["event_type", "partition", "hour"]
        )
        for hour, tallies in list(self._counts.items()):
            for (event_type, partition), count in list(tallies.items()):
                family.add_metric([event_type, str(partition), label(hour)], count)
        return [family]


ACKED: Final = Acked()
REGISTRY.register(ACKED)
