"""Metrics of a dedup worker. Advanced once per poll and slice, never per record."""

from __future__ import annotations

from hourmark.event import Tally
from hourmark.metrics import Counter, Gauge, Histogram

CONSUMED = Counter("hourmark_dedup_consumed_total", "Raw records read", ["type"])
FORWARDED = Counter("hourmark_dedup_forwarded_total", "Records written to clean", ["type"])
DUPLICATES = Counter("hourmark_dedup_duplicates_total", "Copies removed", ["type"])
CONFLICTS = Counter("hourmark_dedup_conflicts_total", "Copies, on a sample, whose payload is another than that of the first", ["type"])
REJECTED = Counter("hourmark_dedup_rejected_total", "Records that are no events", ["type"])
SKEWED = Counter("hourmark_dedup_skewed_total", "Forwarded events that arrived behind the barrier of their hour", ["type"])
UNCHECKED = Counter("hourmark_dedup_unchecked_total", "Events forwarded without a claim (dedup: open)", ["type"])
CLAIM_S = Histogram("hourmark_dedup_claim_seconds", "One poll's claims")
EMIT_S = Histogram("hourmark_dedup_emit_seconds", "One poll's writes until all are acknowledged")
POLL_RECORDS = Histogram("hourmark_dedup_poll_records", "Records per poll", buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000))
AWAY = Gauge("hourmark_dedup_index_away", "1 while the index does not answer")
BARRIER_DELAY_S = Histogram(
    "hourmark_dedup_barrier_delay_seconds",
    "From an hour's end to its barrier",
    buckets=(0.1, 0.25, 0.5, 1, 5, 15, 30, 45, 60, 300),
)
BARRIER_FAILURES = Counter("hourmark_dedup_barrier_failures_total", "Barriers that could not be written in time or came too early")
REBALANCES = Counter("hourmark_dedup_rebalances_total", "Assignments received")
PARTITIONS = Gauge("hourmark_dedup_partitions", "Partitions owned")
OPEN_HOURS = Gauge("hourmark_dedup_open_hours", "Most open hours of any owned partition")
ECHOES = Counter(
    "hourmark_dedup_echoes_total", "Events forwarded again after their day was sealed in the id index; sinks know them", ["type"]
)
SEALED_DAY = Gauge("hourmark_dedup_index_sealed_day", "Newest day sealed in the compact id index, in days since 1970")
INDEX_IDS = Gauge("hourmark_dedup_index_ids", "Ids in the compact id index")
INDEX_BYTES_PER_ID = Gauge("hourmark_dedup_index_bytes_per_id", "Memory used by the servers of the compact id index, per id")
WINDOW_MISSING_DAYS = Gauge("hourmark_dedup_window_missing_days", "Days by which memory pressure has shortened the window")
FAILOVERS = Counter("hourmark_dedup_index_failovers_total", "Times that the id index came back as another server, or restarted")
REASSERTED = Counter("hourmark_dedup_index_reasserted_total", "Claims made again after a failover")
DOUBLED = Counter("hourmark_dedup_doubled_total", "Events that another copy was let through for, as a failover had lost their claims")
LAG = Gauge("hourmark_dedup_lag_records", "Raw records not yet finished, over all owned partitions")


def count_slice(event_type: str, total: Tally, unchecked: bool) -> None:
    """Book one slice's sums."""
    CONSUMED.labels(event_type).inc(total.consumed)
    FORWARDED.labels(event_type).inc(total.forwarded)
    for meter, number in ((DUPLICATES, total.duplicates), (REJECTED, total.rejected), (SKEWED, total.skewed)):
        if number:
            meter.labels(event_type).inc(number)
    if unchecked:
        UNCHECKED.labels(event_type).inc(total.forwarded)
