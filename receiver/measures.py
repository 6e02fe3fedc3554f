"""What the receiver counts. Labels are event types, codes and tiers: bounded.

What every request touches are plain numbers, turned into metrics when somebody looks: prometheus_client's own counters take a lock each,
and made a tenth of the cost of a request with one event. What is rare uses its counters.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tallies
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hourmark.hours import Hours, label
from hourmark.metrics import Counter, Gauge

REJECTED_EVENTS = Counter(
    "hourmark_receiver_rejected", "Rejected events by code; event_type is empty unless it is a declared one", ["event_type", "code"]
)
PARKED_EVENTS = Counter("hourmark_receiver_parked", "Events of types that are not declared, kept on the parked topic")
RETRIES = Counter("hourmark_receiver_retries", "Events answered `retry`, to be sent again with the same id, by code", ["code"])
COPIES = Counter("hourmark_receiver_copies", "Copies of an id within one request, dropped", ["kind"])
REFUSALS = Counter("hourmark_receiver_refusals", "Requests refused as a whole, by status and code", ["status", "code"])
INFLIGHT = Gauge("hourmark_receiver_inflight_bytes", "Bytes waiting for Kafka's acknowledgement", ["tier"])
INFLIGHT_LIMIT = Gauge(
    "hourmark_receiver_inflight_limit_bytes", "How many bytes of a tier may wait, before its events are refused", ["tier"]
)
READING = Gauge("hourmark_receiver_reading_bytes", "Bytes of request bodies that are being read now")
PARKED_WAITING = Gauge(
    "hourmark_parked_waiting", "Parked events that wait for a declaration or their replay, in partitions that this process owns"
)
PARKED_AGE = Gauge("hourmark_parked_oldest_age_seconds", "How long the oldest of them has waited; 0: none waits")
PARKED_EXPIRING = Gauge("hourmark_parked_expiring_types", "Event types of which parked events will be deleted soon, unless declared")
PARKED_EXPIRED = Counter("hourmark_parked_expired", "Parked events that were deleted unreplayed, as far as the log's start tells")
REPLAYED = Counter("hourmark_parked_replayed", "Parked events replayed to their raw topics")
REPLAY_REJECTED = Counter("hourmark_parked_replay_rejected", "Parked events that did not fit when they were replayed, by code", ["code"])

_ACK_BOUNDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_KEPT_HOURS: Final = 4


class TypeTotals:
    """Totals of one event type."""

    __slots__ = ("bytes", "received", "stored")

    def __init__(self) -> None:
        self.received = self.stored = self.bytes = 0


class Totals(Collector):
    """The numbers of this process. One event loop advances them; a scrape may read them from another thread."""

    def __init__(self) -> None:
        self.answered = 0
        self.body_bytes = 0
        self.undeclared = 0
        self._ack_counts = [0] * (len(_ACK_BOUNDS) + 1)
        self._ack_sum = 0.0
        self._types: dict[str, TypeTotals] = {}
        self._acked: dict[int, dict[tuple[str, int], int]] = {}
        self._span = (0, -1, 0)  # first and last ms of the newest hour, and its number

    def of_type(self, event_type: str) -> TypeTotals:
        return self._types.setdefault(event_type, TypeTotals())

    def declared(self, event_type: str) -> str:
        """The name as a label: empty for what is not known to be declared, since anybody can invent names."""
        return event_type if event_type in self._types else ""

    def acknowledged(self, seconds: float) -> None:
        self._ack_counts[bisect_left(_ACK_BOUNDS, seconds)] += 1
        self._ack_sum += seconds

    def acked(self, hours: Hours, event_type: str, partitions: Sequence[int], append_ms: Sequence[int]) -> None:
        """Stored events by append hour: the audit compares them with what the dedup worker consumed. Nearly always all are of one hour."""
        low, high, hour = self._span
        if not low <= min(append_ms) <= max(append_ms) <= high:
            hour = hours.of(max(append_ms))
            low, high, _ = self._span = (hours.start_ms(hour), hours.end_ms(hour) - 1, hour)
            if min(append_ms) < low:
                for partition, moment in zip(partitions, append_ms, strict=True):
                    self._add(hours.of(moment), event_type, {partition: 1})
                return
        self._add(hour, event_type, Tallies(partitions) if len(partitions) > 1 else {partitions[0]: 1})

    def _add(self, hour: int, event_type: str, counts: dict[int, int]) -> None:
        tallies = self._acked.get(hour)
        if tallies is None:
            tallies = self._acked[hour] = {}
            for old in sorted(self._acked)[:-_KEPT_HOURS]:
                del self._acked[old]  # long since sealed
        for partition, count in counts.items():
            tallies[event_type, partition] = tallies.get((event_type, partition), 0) + count

    def collect(self) -> Iterable[Metric]:
        received = CounterMetricFamily(
            "hourmark_receiver_received",
            "Readable events in requests, before any verdict; empty: of no declared type",
            labels=["event_type"],
        )
        stored = CounterMetricFamily("hourmark_receiver_stored", "Events acknowledged by Kafka on their raw topic", labels=["event_type"])
        size = CounterMetricFamily(
            "hourmark_receiver_stored_bytes", "Bytes of their values, before Kafka's compression", labels=["event_type"]
        )
        received.add_metric([""], self.undeclared)
        for name, totals in list(self._types.items()):
            received.add_metric([name], totals.received)
            stored.add_metric([name], totals.stored)
            size.add_metric([name], totals.bytes)
        acked = CounterMetricFamily(
            "hourmark_receiver_acked",
            "Events acknowledged by Kafka in the newest append hours: to compare with what dedup consumed",
            labels=["event_type", "partition", "hour"],
        )
        for hour, tallies in list(self._acked.items()):
            for (name, partition), count in list(tallies.items()):
                acked.add_metric([name, str(partition), label(hour)], count)
        seen, buckets = 0, []
        for bound, count in zip([*map(str, _ACK_BOUNDS), "+Inf"], self._ack_counts, strict=True):
            seen += count
            buckets.append((bound, seen))
        return [
            received,
            stored,
            size,
            acked,
            CounterMetricFamily(
                "hourmark_receiver_answered", "Requests answered 200: every event in them has its own verdict", value=self.answered
            ),
            CounterMetricFamily("hourmark_receiver_body_bytes", "Decoded bytes of those requests", value=self.body_bytes),
            HistogramMetricFamily(
                "hourmark_receiver_ack_seconds",
                "From produce to the last acknowledgement of a request",
                buckets=buckets,
                sum_value=self._ack_sum,
            ),
        ]


TOTALS: Final = Totals()
REGISTRY.register(TOTALS)
