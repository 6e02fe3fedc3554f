"""The sink's metrics. Advanced once per poll, flush or seal; labels are the event type, a code, or one of a few reasons."""

from __future__ import annotations

from typing import Final

from hourmark.metrics import Counter, Gauge, Histogram

_TYPE: Final = ["event_type"]
ROWS = Counter("hourmark_sink_rows_total", "Rows written to parts", _TYPE)
REPEATS = Counter("hourmark_sink_repeats_total", "Records dropped by the high-water rule", _TYPE)
POISONED = Counter("hourmark_sink_poisoned_total", "Events that could not be decoded, sent to the rejected topic", _TYPE)
FOREIGN = Counter("hourmark_sink_foreign_total", "Records on clean topics that no dedup worker wrote", _TYPE)
INVARIANTS = Counter("hourmark_sink_invariant_violations_total", "Records of hours that were closed before: should be 0 for ever", _TYPE)
PARTS = Counter("hourmark_sink_parts_total", "Parts staged", _TYPE)
PART_BYTES = Counter("hourmark_sink_part_bytes_total", "Bytes of staged parts", _TYPE)
CONFLICTS = Counter("hourmark_sink_lost_races_total", "Commit entries that another worker wrote first", _TYPE)
SEALED = Counter("hourmark_sink_sealed_hours_total", "Hours presented", _TYPE)
INCOMPLETE = Counter("hourmark_sink_incomplete_hours_total", "Hours presented with complete=false", _TYPE)
HOLDS = Counter("hourmark_sink_holds_total", "Times a partition had to wait", ["code"])
OPEN_HOURS = Gauge("hourmark_sink_open_hours", "Hours closed on some partition and not presented yet", _TYPE)
BLOCKED = Gauge(
    "hourmark_sink_blocked_partitions",
    "Partitions that keep a type's next hour from being sealed, once others have closed it or it is overdue",
    [*_TYPE, "reason"],
)
HELD = Gauge("hourmark_sink_held_partitions", "Partitions of this worker that wait for the world to answer", [*_TYPE, "reason"])
LAST_DELAY = Gauge("hourmark_sink_last_seal_delay_seconds", "From the end of the newest sealed hour to its being presented", _TYPE)
LATE_PARTS = Counter("hourmark_sink_late_parts_total", "Parts of hours sealed by force that were presented with the next hour", _TYPE)
SWEPT = Counter("hourmark_sink_swept_files_total", "Files taken out of the lake's bookkeeping", ["kind"])
WATERMARK = Gauge("hourmark_sink_watermark_timestamp_seconds", "End of the newest presented hour", _TYPE)
BUFFERED = Gauge("hourmark_sink_buffered_bytes", "Events in memory")
SEAL_DELAY = Histogram(
    "hourmark_sink_seal_delay_seconds",
    "From the end of an hour to its being presented",
    _TYPE,
    buckets=(1, 2, 5, 10, 20, 40, 60, 120, 300, 900),
)
