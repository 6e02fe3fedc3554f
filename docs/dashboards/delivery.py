"""A calendar of hours, and what keeps some of them from being sealed."""

from __future__ import annotations

from .panels import Dashboard, Panel, rate

DELIVERY = Dashboard(
    "hourmark-delivery",
    "hourmark: delivery health",
    (
        (
            "Calendar of hours",
            (
                Panel(
                    "Each type, hour by hour",
                    "status-history",
                    (("hourmark:delivery_state", "{{event_type}}"),),
                    width=24,
                    height=12,
                    says="A column shows the newest hour sealed by then (in time, late, incomplete, empty); red: the next one was overdue.",
                    states=True,
                ),
            ),
        ),
        (
            "Late",
            (
                Panel("Past its promise", "table", (("sort_desc(hourmark:overdue_seconds > 0)", "{{event_type}}"),), "s", quiet=True),
                Panel("Partitions that block", "table", (("hourmark_sink_blocking", "{{event_type}} {{partition}}"),), quiet=True),
                Panel(
                    "On hold",
                    "table",
                    (("sum by (event_type, reason) (hourmark_sink_held_partitions) > 0", "{{event_type}} {{reason}}"),),
                    quiet=True,
                ),
            ),
        ),
        (
            "How hours close",
            (
                Panel(
                    "Seal delay",
                    "timeseries",
                    tuple(
                        (
                            f"histogram_quantile({share}, sum by (le) (increase(hourmark_sink_seal_delay_seconds_bucket[$__range])))",
                            f"p{share * 100:g}",
                        )
                        for share in (0.5, 0.99)
                    ),
                    "s",
                ),
                Panel(
                    "Barrier delay",
                    "timeseries",
                    (("histogram_quantile(0.99, sum by (le) (increase(hourmark_dedup_barrier_delay_seconds_bucket[$__range])))", "p99"),),
                    "s",
                ),
                Panel("Barriers that failed", "timeseries", ((rate("hourmark_dedup_barrier_failures_total"), "failures"),)),
                Panel("Open hours", "timeseries", (("topk(10, max by (event_type) (hourmark_sink_open_hours))", "{{event_type}}"),)),
                Panel(
                    "Hours sealed",
                    "timeseries",
                    (
                        ("sum(increase(hourmark_sink_sealed_hours_total[$__rate_interval]))", "all"),
                        ("sum(increase(hourmark_sink_incomplete_hours_total[$__rate_interval]))", "incomplete"),
                    ),
                ),
                Panel(
                    "Watermark age",
                    "timeseries",
                    (("topk(10, time() - max by (event_type) (hourmark_sink_watermark_timestamp_seconds))", "{{event_type}}"),),
                    "s",
                ),
            ),
        ),
    ),
    since="now-24h",
)
