"""The sink's metrics. Advanced once per poll, flush or seal; labels are the event type, a code, or one of a few reasons.

Gauges of a type are shown by the worker that seals it, the owner of its partition 0, and leave the page with it.
"""

from __future__ import annotations

from typing import Final

from hourmark.metrics import Counter, Gauge, Histogram

_TYPE: Final = ["event_type"]
ROWS = Counter("hourmark_sink_rows_total", "Rows written to parts", _TYPE)
REPEATS = Counter(
    "hourmark_sink_repeats_total", "Records read again and dropped, since the commit chain has them (the high-water rule)", _TYPE
)
POISONED = Counter("hourmark_sink_poisoned_total", "Events that could not be decoded, sent to the rejected topic", _TYPE)
FOREIGN = Counter("hourmark_sink_foreign_total", "Records on clean topics that no dedup worker wrote, sent to the rejected topic", _TYPE)
INVARIANTS = Counter("hourmark_sink_invariant_violations_total", "Records of hours that were closed before: should be 0 for ever", _TYPE)
PARTS = Counter("hourmark_sink_parts_total", "Parts staged: the files from which hours are merged", _TYPE)
PART_BYTES = Counter("hourmark_sink_part_bytes_total", "Bytes of staged parts", _TYPE)
CONFLICTS = Counter("hourmark_sink_lost_races_total", "Commit entries that another worker wrote first", _TYPE)
SEALED = Counter("hourmark_sink_sealed_hours_total", "Hours presented: merged, sorted, and never changed again", _TYPE)
SEALED_ROWS = Counter("hourmark_sink_sealed_rows_total", "Rows of the hours presented", _TYPE)
SEALED_FILES = Counter("hourmark_sink_sealed_files_total", "Parquet files of presented hours", _TYPE)
INCOMPLETE = Counter("hourmark_sink_incomplete_hours_total", "Hours presented with complete=false", _TYPE)
FAULTS = Counter("hourmark_sink_audit_faults_total", "Rules of the audit that did not hold in presented hours (audit.faults)", _TYPE)
HOLDS = Counter("hourmark_sink_holds_total", "Times a partition had to wait for the world, by what it waits for", ["code"])
BUSY = Counter("hourmark_sink_busy_seconds_total", "Seconds in which the worker did not wait for records; its rate is the utilisation")
PARTITIONS = Gauge("hourmark_sink_partitions", "Clean partitions that this worker owns")
REBALANCES = Counter("hourmark_sink_rebalances_total", "Times that Kafka dealt partitions to this worker")
LAG = Gauge("hourmark_sink_lag_records", "Clean records not yet read, in the partitions that this worker owns", _TYPE)
LAG_SECONDS = Gauge(
    "hourmark_sink_lag_seconds", "Append time of the oldest of them, as its age: too large by one look (5 s) at most", _TYPE
)
OPEN_HOURS = Gauge("hourmark_sink_open_hours", "Hours closed on some partition and not presented yet", _TYPE)
BLOCKED = Gauge(
    "hourmark_sink_blocked_partitions",
    "Partitions that keep a type's next hour from being sealed, once others have closed it or it is overdue",
    [*_TYPE, "reason"],
)
BLOCKING = Gauge(
    "hourmark_sink_blocking", "1 for each of these partitions; the series is gone when it has closed the hour", [*_TYPE, "partition"]
)
HELD = Gauge("hourmark_sink_held_partitions", "Partitions of this worker that wait for the world to answer", [*_TYPE, "reason"])
LAST_DELAY = Gauge("hourmark_sink_last_seal_delay_seconds", "From the end of the newest sealed hour to its being presented", _TYPE)
LATE_PARTS = Counter("hourmark_sink_late_parts_total", "Parts of hours sealed by force that were presented with the next hour", _TYPE)
SWEPT = Counter("hourmark_sink_swept_files_total", "Files taken out of the lake's bookkeeping", ["kind"])
WATERMARK = Gauge("hourmark_sink_watermark_timestamp_seconds", "End of the newest presented hour, in seconds since 1970", _TYPE)
DUE = Gauge(
    "hourmark_sink_due_timestamp_seconds",
    "When the next hour must be sealed to keep the tier's promise (after its end: critical 5 min, standard 15, debug 60)",
    [*_TYPE, "tier"],
)
HOUR_STATE = Gauge(
    "hourmark_sink_newest_hour_state", "Of the newest presented hour: 0 empty, 1 sealed in time, 2 late, 3 incomplete", _TYPE
)
BUFFERED = Gauge("hourmark_sink_buffered_bytes", "Events in memory that are not written to a part yet")
LAKE_FREE = Gauge("hourmark_sink_lake_free_bytes", "Free bytes of the volume that holds the lake; none for object stores", ["path"])
LAKE_SIZE = Gauge("hourmark_sink_lake_size_bytes", "Size of that volume", ["path"])
SEAL_DELAY = Histogram(
    "hourmark_sink_seal_delay_seconds",
    "From the end of an hour to its being presented",
    _TYPE,
    buckets=(1, 2, 5, 10, 20, 40, 60, 120, 300, 900, 3600),
)
