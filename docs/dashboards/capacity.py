"""What is used of what there is: processes, bytes in flight, Kafka's disks, the id index, the lake."""

from __future__ import annotations

from .panels import Dashboard, Panel, quantile, rate

ROOM = "* on (instance) group_left (room) hourmark_build_info"
CAPACITY = Dashboard(
    "hourmark-capacity",
    "hourmark: capacity",
    (
        (
            "Processes",
            (
                Panel(
                    "CPU",
                    "timeseries",
                    ((f"rate(process_cpu_seconds_total[$__rate_interval]) {ROOM}", "{{room}} {{instance}}"),),
                    "percentunit",
                ),
                Panel("Memory", "timeseries", ((f"process_resident_memory_bytes {ROOM}", "{{room}} {{instance}}"),), "bytes"),
                Panel(
                    "Busy",
                    "timeseries",
                    (
                        (rate("hourmark_dedup_busy_seconds_total", "instance"), "dedup {{instance}}"),
                        (rate("hourmark_sink_busy_seconds_total", "instance"), "sink {{instance}}"),
                    ),
                    "percentunit",
                ),
                Panel(
                    "Partitions of each worker",
                    "timeseries",
                    (("hourmark_dedup_partitions", "dedup {{instance}}"), ("hourmark_sink_partitions", "sink {{instance}}")),
                ),
            ),
        ),
        (
            "Receivers",
            (
                Panel(
                    "Bytes in flight, of what may be",
                    "timeseries",
                    (("max by (tier) (hourmark_receiver_inflight_bytes / hourmark_receiver_inflight_limit_bytes)", "{{tier}}"),),
                    "percentunit",
                ),
                Panel("Bodies being read", "timeseries", (("sum(hourmark_receiver_reading_bytes)", "bytes"),), "bytes"),
                Panel(
                    "Requests and bytes",
                    "timeseries",
                    ((rate("hourmark_receiver_answered_total"), "requests"), (rate("hourmark_receiver_body_bytes_total"), "bytes")),
                    "reqps",
                    right=("bytes", "Bps"),
                ),
            ),
        ),
        (
            "Kafka",
            (
                Panel(
                    "Room on the brokers' disks",
                    "timeseries",
                    (("min by (broker, path) (hourmark_kafka_free_bytes / hourmark_kafka_size_bytes)", "free {{broker}} {{path}}"),),
                    "percentunit",
                    steps=((0.15, "red"),),
                    says="None from brokers older than 3.3, from services that hide their disks, and without the ACL Describe on Cluster.",
                ),
                Panel("Free on the brokers' disks", "timeseries", (("hourmark:kafka_free_bytes", "{{broker}} {{path}}"),), "bytes"),
                Panel(
                    "Full in (at the pace of the last hour)",
                    "stat",
                    (("min(hourmark:kafka_free_bytes / (deriv(hourmark:kafka_free_bytes[1h]) < 0) * -1)", ""),),
                    "s",
                    quiet=True,
                    none="They do not fill.",
                ),
            ),
        ),
        (
            "Dedup and its index",
            (
                Panel(
                    "Time of a poll",
                    "timeseries",
                    (
                        (quantile(0.99, "hourmark_dedup_claim_seconds"), "claims p99"),
                        (quantile(0.99, "hourmark_dedup_emit_seconds"), "writes p99"),
                    ),
                    "s",
                ),
                Panel(
                    "Records per poll",
                    "timeseries",
                    (
                        (
                            f"{rate('hourmark_dedup_poll_records_sum')} / {rate('hourmark_dedup_poll_records_count')}",
                            "mean",
                        ),
                    ),
                ),
                Panel(
                    "Index memory",
                    "timeseries",
                    (("max(hourmark_dedup_index_used_bytes)", "used"), ("max(hourmark_dedup_index_limit_bytes)", "limit (0: none)")),
                    "bytes",
                ),
                Panel("Ids", "timeseries", (("max(hourmark_dedup_index_ids)", "ids"),)),
                Panel("Memory per id", "timeseries", (("max(hourmark_dedup_index_bytes_per_id)", "bytes"),), "bytes"),
                Panel(
                    "Age of first copies (p99.9)",
                    "timeseries",
                    (
                        (
                            "histogram_quantile(0.999, sum by (le) (increase(hourmark_dedup_duplicate_age_seconds_bucket[$__range])))",
                            "all types",
                        ),
                    ),
                    "s",
                    says="What the window has to cover. An upper bound: counted from the making of the id.",
                    quiet=True,
                    none="No copy was removed whose id tells its age.",
                ),
            ),
        ),
        (
            "Sinks and the lake",
            (
                Panel(
                    "Rows and bytes written",
                    "timeseries",
                    ((rate("hourmark_sink_rows_total"), "rows"), (rate("hourmark_sink_part_bytes_total"), "bytes")),
                    "eps",
                    right=("bytes", "Bps"),
                ),
                Panel("Buffered", "timeseries", (("sum(hourmark_sink_buffered_bytes)", "all workers"),), "bytes"),
                Panel(
                    "Room in the lake",
                    "timeseries",
                    (("min by (path) (hourmark_sink_lake_free_bytes / hourmark_sink_lake_size_bytes)", "free {{path}}"),),
                    "percentunit",
                    steps=((0.1, "red"),),
                ),
                Panel(
                    "Full in (at the pace of the last hour)",
                    "stat",
                    (("min(hourmark_sink_lake_free_bytes / (deriv(hourmark_sink_lake_free_bytes[1h]) < 0) * -1)", ""),),
                    "s",
                    quiet=True,
                    none="It does not fill.",
                ),
            ),
        ),
    ),
)
