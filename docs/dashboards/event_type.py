"""Everything about the one event type that is chosen above."""

from __future__ import annotations

from .panels import ONE, Dashboard, Panel, or_zero, rate

EVENT_TYPE = Dashboard(
    "hourmark-event-type",
    "hourmark: one event type",
    (
        (
            "Now",
            (
                Panel("Newest hour", "stat", ((f"hourmark:delivery_state{ONE}", ""),), width=4, height=4, states=True),
                Panel(
                    "Sealed until", "stat", ((f"max(hourmark_sink_watermark_timestamp_seconds{ONE}) * 1000", ""),), "dateTimeFromNow", 4, 4
                ),
                Panel(
                    "Next hour is due", "stat", ((f"max(hourmark_sink_due_timestamp_seconds{ONE}) * 1000", ""),), "dateTimeFromNow", 4, 4
                ),
                Panel("Open hours", "stat", ((f"max(hourmark_sink_open_hours{ONE})", ""),), width=4, height=4),
                Panel("Duplicates", "stat", ((or_zero(f"max(hourmark:duplicates:ratio1h{ONE})"), ""),), "percentunit", 4, 4),
                Panel(
                    "Conflicting ids",
                    "stat",
                    ((or_zero(f"sum(hourmark_dedup_conflicts_total{ONE})"), ""),),
                    width=4,
                    height=4,
                    words=(("0", "none"),),
                    steps=((1, "orange"),),
                    says="One id for two different events, since the workers were started. The first one stays.",
                ),
            ),
        ),
        (
            "Flow",
            (
                Panel(
                    "Events by stage",
                    "timeseries",
                    tuple(
                        (rate(metric, where=ONE), legend)
                        for metric, legend in (
                            ("hourmark_receiver_received_total", "received"),
                            ("hourmark_receiver_stored_total", "stored"),
                            ("hourmark_dedup_consumed_total", "read by dedup"),
                            ("hourmark_dedup_forwarded_total", "clean"),
                            ("hourmark_sink_rows_total", "written"),
                        )
                    ),
                    "eps",
                ),
                Panel("Bytes stored", "timeseries", ((rate("hourmark_receiver_stored_bytes_total", where=ONE), "values"),), "Bps"),
                Panel(
                    "Rejected",
                    "timeseries",
                    ((rate("hourmark_receiver_rejected_total", "code", where=ONE), "{{code}}"),),
                    "eps",
                    quiet=True,
                    none="No event was rejected.",
                ),
                Panel(
                    "Unread records",
                    "timeseries",
                    ((f"sum(hourmark_dedup_lag_records{ONE})", "dedup"), (f"sum(hourmark_sink_lag_records{ONE})", "sink")),
                ),
                Panel("Oldest unread", "timeseries", ((f"hourmark:lag_seconds:max{ONE}", "{{stage}}"),), "s"),
                Panel(
                    "Flags",
                    "timeseries",
                    (
                        (or_zero(rate("hourmark_dedup_skewed_total", where=ONE)), "skewed"),
                        (or_zero(rate("hourmark_dedup_unchecked_total", where=ONE)), "unchecked"),
                        (or_zero(rate("hourmark_dedup_duplicates_total", where=ONE)), "duplicates"),
                    ),
                    "eps",
                ),
            ),
        ),
        (
            "Hours",
            (
                Panel("Seal delay", "timeseries", ((f"max(hourmark_sink_last_seal_delay_seconds{ONE})", "newest hour"),), "s"),
                Panel("Rows sealed", "timeseries", ((rate("hourmark_sink_sealed_rows_total", where=ONE), "rows"),), "eps"),
                Panel(
                    "Files sealed, parts staged",
                    "timeseries",
                    (
                        (rate("hourmark_sink_sealed_files_total", where=ONE), "files"),
                        (rate("hourmark_sink_parts_total", where=ONE), "parts"),
                    ),
                ),
                Panel(
                    "Partitions that block",
                    "table",
                    ((f"max by (partition) (hourmark_sink_blocking{ONE}) == 1", ""),),
                    columns=(("partition", "partition"),),
                    quiet=True,
                    none="No partition keeps an hour open.",
                ),
                Panel(
                    "Audit faults",
                    "timeseries",
                    ((or_zero(f"sum(increase(hourmark_sink_audit_faults_total{ONE}[$__rate_interval]))"), "faults"),),
                ),
                Panel(
                    "How old are first copies (seconds)",
                    "bargauge",
                    ((f"sum by (le) (increase(hourmark_dedup_duplicate_age_seconds_bucket{ONE}[$__range]))", "{{le}}"),),
                    says="Copies removed, by their age: up to so many seconds. The window need not reach beyond the last that grows.",
                    quiet=True,
                    none="No copy was removed whose id tells its age.",
                ),
            ),
        ),
    ),
    by_type=True,
    since="now-6h",
    refresh="30s",
)
