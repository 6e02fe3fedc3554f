"""A calendar of hours, and what keeps some of them from being sealed."""

from __future__ import annotations

from .panels import Dashboard, Panel, rate

KEY = (
    "🟩 **sealed** in time · 🟨 **late**: after the promise of its tier · 🟪 **incomplete**: its books do not balance · "
    "🟦 **empty**: sealed, no event came · 🟥 **overdue**: the next hour should have been sealed by then · no colour: not known"
)
DELIVERY = Dashboard(
    "hourmark-delivery",
    "hourmark: delivery health",
    (
        (
            "Calendar of hours",
            (
                Panel("", "text", (), width=24, height=2, says=KEY),
                Panel(
                    "Each type, hour by hour",
                    "status-history",
                    (("hourmark:delivery_state", "{{event_type}}"),),
                    width=24,
                    height=14,
                    says="A column shows how the newest hour stood at the start of the column.",
                    states=True,
                    none="No hour has been sealed in this time.",
                ),
            ),
        ),
        (
            "Late",
            (
                Panel(
                    "Past its promise",
                    "table",
                    (("sort_desc(hourmark:overdue_seconds > 0)", ""),),
                    "s",
                    columns=(("event_type", "event type"), ("tier", "tier"), ("Value", "late by")),
                    quiet=True,
                    none="No hour is overdue.",
                ),
                Panel(
                    "Partitions that block",
                    "table",
                    (("max by (event_type, partition) (hourmark_sink_blocking) == 1", ""),),
                    columns=(("event_type", "event type"), ("partition", "partition")),
                    quiet=True,
                    none="No partition keeps an hour open.",
                    says="Other partitions have closed the hour, or it is overdue; this one has not.",
                ),
                Panel(
                    "On hold",
                    "table",
                    (("sum by (event_type, reason) (hourmark_sink_held_partitions) > 0", ""),),
                    columns=(("event_type", "event type"), ("reason", "waits for"), ("Value", "partitions")),
                    quiet=True,
                    none="No sink waits.",
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
                    bars=True,
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
    refresh="1m",
    columns_of=("1h", "15m", "1m", "10s"),
)
