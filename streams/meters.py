"""Metrics of a dedup worker. Advanced once per poll and slice, never per record."""

from __future__ import annotations

from dedup.usage import Usage
from hourmark.event import Tally
from hourmark.metrics import Counter, Gauge, Histogram, SummedHistogram

MINUTE, HOUR, DAY = 60, 3_600, 86_400

CONSUMED = Counter("hourmark_dedup_consumed_total", "Raw records read and finished, barriers not counted", ["event_type"])
FORWARDED = Counter("hourmark_dedup_forwarded_total", "Events written to the clean topic", ["event_type"])
DUPLICATES = Counter("hourmark_dedup_duplicates_total", "Copies removed: their id was claimed before, within the window", ["event_type"])
CONFLICTS = Counter(
    "hourmark_dedup_conflicts_total", "Copies, on a sample, whose payload is another than that of the first", ["event_type"]
)
REJECTED = Counter("hourmark_dedup_rejected_total", "Raw records that are no events, sent to the rejected topic", ["event_type"])
SKEWED = Counter("hourmark_dedup_skewed_total", "Forwarded events that arrived behind the barrier of their hour", ["event_type"])
UNCHECKED = Counter("hourmark_dedup_unchecked_total", "Events forwarded without a claim (dedup: open)", ["event_type"])
CLAIM_S = Histogram("hourmark_dedup_claim_seconds", "Time of one poll's round trip to the id index")
EMIT_S = Histogram("hourmark_dedup_emit_seconds", "Time of one poll's writes, until Kafka has acknowledged all of them")
POLL_RECORDS = Histogram("hourmark_dedup_poll_records", "Records per poll", buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000))
BUSY = Counter(
    "hourmark_dedup_busy_seconds_total",
    "Seconds in which polls were worked on, waiting for answers of the id index and of Kafka included, not for an index that is away",
)
AWAY = Gauge("hourmark_dedup_index_away", "1 while the id index does not answer: events wait, unless their type is declared `dedup: open`")
BARRIER_DELAY_S = Histogram(
    "hourmark_dedup_barrier_delay_seconds",
    "From an hour's end to its barrier",
    buckets=(0.1, 0.25, 0.5, 1, 5, 15, 30, 45, 60, 300),
)
BARRIER_FAILURES = Counter("hourmark_dedup_barrier_failures_total", "Barriers that could not be written in time or came too early")
REBALANCES = Counter("hourmark_dedup_rebalances_total", "Times that Kafka dealt the partitions anew")
PARTITIONS = Gauge("hourmark_dedup_partitions", "Raw partitions that this worker owns")
OPEN_HOURS = Gauge("hourmark_dedup_open_hours", "Most open hours of any owned partition; two around the full hour, one otherwise")
ECHOES = Counter(
    "hourmark_dedup_echoes_total", "Events forwarded again after their day was sealed in the id index; sinks know them", ["event_type"]
)
SEALED_DAY = Gauge("hourmark_dedup_index_sealed_day", "Newest day sealed in the compact id index, in days since 1970")
INDEX_IDS = Gauge("hourmark_dedup_index_ids", "Ids in the id index")
INDEX_BYTES_PER_ID = Gauge("hourmark_dedup_index_bytes_per_id", "Memory used by the servers of the id index, per id")
INDEX_USED = Gauge("hourmark_dedup_index_used_bytes", "Memory used by the servers of the id index")
INDEX_LIMIT = Gauge("hourmark_dedup_index_limit_bytes", "Memory that they may use (maxmemory); 0: no limit is set")
WINDOW_MISSING_DAYS = Gauge("hourmark_dedup_window_missing_days", "Days by which memory pressure has shortened the window")
FAILOVERS = Counter("hourmark_dedup_index_failovers_total", "Times that the id index came back as another server, or restarted")
REASSERTED = Counter("hourmark_dedup_index_reasserted_total", "Claims made again after a failover")
DOUBLED = Counter("hourmark_dedup_doubled_total", "Events that another copy was let through for, as a failover had lost their claims")
LAG = Gauge("hourmark_dedup_lag_records", "Raw records not yet finished, in the partitions that this worker owns", ["event_type"])
LAG_SECONDS = Gauge(
    "hourmark_dedup_lag_seconds", "Append time of the oldest of them, as its age: too large by one look (5 s) at most", ["event_type"]
)
CLAIMS = Counter(
    "hourmark_dedup_claims_total", "Ids asked of the id index; asked again after a crash or a time-out they count again", ["event_type"]
)
DUPLICATE_AGES = SummedHistogram(
    "hourmark_dedup_duplicate_age_seconds",
    "From the making of a copy's id (UUIDv7) to the copy's append time: never less than the age of the first copy. Sizes the window",
    "event_type",
    (1, 10, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY),
)
UNDATED = Counter(
    "hourmark_dedup_duplicates_undated_total", "Copies whose id is no UUIDv7, so that it does not tell its age", ["event_type"]
)
INDEX_LOST = Gauge("hourmark_dedup_index_lost", "1 while the id index answers without its canary: its memory is gone, nothing goes on")
KAFKA_FREE = Gauge(
    "hourmark_kafka_free_bytes", "Bytes that a broker may still write below a log directory; asked once a minute", ["broker", "path"]
)
KAFKA_SIZE = Gauge("hourmark_kafka_size_bytes", "Size of the volume of a broker's log directory", ["broker", "path"])


def count_slice(event_type: str, total: Tally, unchecked: bool) -> None:
    """Book one slice's sums."""
    CONSUMED.labels(event_type).inc(total.consumed)
    FORWARDED.labels(event_type).inc(total.forwarded)
    for meter, number in ((DUPLICATES, total.duplicates), (REJECTED, total.rejected), (SKEWED, total.skewed)):
        if number:
            meter.labels(event_type).inc(number)
    if unchecked:
        UNCHECKED.labels(event_type).inc(total.forwarded)


def show_usage(found: Usage | None) -> None:
    """Put what the servers of the index say on the page."""
    if found is None:
        return
    INDEX_USED.set(found.used_bytes)
    INDEX_LIMIT.set(found.limit_bytes)
    if found.ids is not None:
        INDEX_IDS.set(found.ids)
        INDEX_BYTES_PER_ID.set(found.used_bytes / found.ids if found.ids else 0)
