"""Whether events flow, hours close, nothing is lost, and everybody is there: the first look."""

from __future__ import annotations

from .panels import Dashboard, Panel, or_zero, quantile, rate

OVERVIEW = Dashboard(
    "hourmark-overview",
    "hourmark: platform overview",
    (
        (
            "At a glance",
            (
                Panel(
                    "Alerts that fire",
                    "stat",
                    ((or_zero('sum(ALERTS{alertname=~"Hourmark.*",alertstate="firing"})'), ""),),
                    width=4,
                    height=4,
                ),
                Panel("Event types overdue", "stat", (("sum(hourmark:delivery_state == bool 4)", ""),), width=4, height=4),
                Panel("Stored", "stat", ((rate("hourmark_receiver_stored_total"), ""),), "eps", width=4, height=4),
                Panel("Oldest event that waits", "stat", (("max(hourmark:lag_seconds:max)", ""),), "s", width=4, height=4),
                Panel("Acknowledged within (p99)", "stat", (("hourmark:ack_seconds:p99_5m", ""),), "s", width=4, height=4),
                Panel("Processes", "stat", (("count by (room) (hourmark_build_info)", "{{room}}"),), width=4, height=4),
            ),
        ),
        (
            "Do events flow?",
            (
                Panel(
                    "Events by stage",
                    "timeseries",
                    (
                        (rate("hourmark_receiver_received_total"), "received"),
                        (rate("hourmark_receiver_stored_total"), "stored"),
                        (rate("hourmark_dedup_consumed_total"), "read by dedup"),
                        (rate("hourmark_dedup_forwarded_total"), "clean"),
                        (rate("hourmark_sink_rows_total"), "written"),
                    ),
                    "eps",
                    says="Stored runs ahead of the others only while a stage lags. Events sent straight to Kafka are not received.",
                ),
                Panel("Events by type", "timeseries", (("topk(10, hourmark:consumed:rate5m)", "{{event_type}}"),), "eps"),
                Panel(
                    "Time to acknowledge",
                    "timeseries",
                    tuple((quantile(share, "hourmark_receiver_ack_seconds"), f"p{share * 100:g}") for share in (0.5, 0.99)),
                    "s",
                ),
                Panel(
                    "Refused: clients send again",
                    "timeseries",
                    (
                        (or_zero(rate("hourmark_receiver_refusals_total", "status", "code")), "{{status}} {{code}}"),
                        (or_zero(rate("hourmark_receiver_retries_total", "code")), "retry {{code}}"),
                    ),
                    "reqps",
                ),
                Panel(
                    "Rejected: senders must change",
                    "timeseries",
                    ((or_zero(rate("hourmark_receiver_rejected_total", "event_type", "code")), "{{event_type}} {{code}}"),),
                    "eps",
                ),
                Panel(
                    "Parked: types nobody declared",
                    "timeseries",
                    (("sum(hourmark_parked_waiting)", "waiting"), (rate("hourmark_parked_replayed_total"), "replayed a second")),
                ),
            ),
        ),
        (
            "Do hours close?",
            (
                Panel("Oldest unread, by stage", "timeseries", (("max by (stage) (hourmark:lag_seconds:max)", "{{stage}}"),), "s"),
                Panel(
                    "Worst hour, past its promise",
                    "timeseries",
                    (("max by (tier) (hourmark:overdue_seconds)", "{{tier}}"),),
                    "s",
                    says="Below zero: so long until the promise of the tier would be broken.",
                ),
                Panel(
                    "Hours sealed",
                    "timeseries",
                    (
                        ("sum(increase(hourmark_sink_sealed_hours_total[$__rate_interval]))", "sealed"),
                        ("sum(increase(hourmark_sink_incomplete_hours_total[$__rate_interval]))", "incomplete"),
                    ),
                ),
            ),
        ),
        (
            "Is nothing lost or doubled?",
            (
                Panel(
                    "Duplicates removed",
                    "timeseries",
                    ((or_zero("topk(10, hourmark:duplicates:ratio1h)"), "{{event_type}}"),),
                    "percentunit",
                ),
                Panel(
                    "Should be zero",
                    "timeseries",
                    (
                        (or_zero("sum(increase(hourmark_sink_audit_faults_total[$__rate_interval]))"), "audit faults"),
                        (or_zero("sum(increase(hourmark_sink_invariant_violations_total[$__rate_interval]))"), "records of closed hours"),
                        (or_zero("sum(increase(hourmark_dedup_conflicts_total[$__rate_interval]))"), "ids used for two events"),
                        (or_zero("sum(increase(hourmark_dedup_doubled_total[$__rate_interval]))"), "doubled by a failover"),
                        ("sum by (code) (increase(hourmark_process_ended_total[$__rate_interval]))", "ended: {{code}}"),
                    ),
                ),
                Panel("Id index", "timeseries", (("max(hourmark_dedup_index_away)", "away"), ("max(hourmark_dedup_index_lost)", "lost"))),
            ),
        ),
        (
            "Is everybody there?",
            (
                Panel("Pages that answer", "timeseries", (('sum(up{job="hourmark"})', "up"), ('count(up{job="hourmark"})', "known"))),
                Panel(
                    "Catalogue revision",
                    "timeseries",
                    (
                        ("max(hourmark_control_known_revision)", "newest known"),
                        ("min(hourmark_control_applied_revision)", "slowest node"),
                        ("max(hourmark_registry_outbox_unpublished)", "not yet broadcast"),
                    ),
                ),
                Panel(
                    "Since the newest was applied",
                    "timeseries",
                    (("max(time() - hourmark_control_applied_timestamp_seconds)", "oldest"),),
                    "s",
                ),
                Panel(
                    "Rebalances",
                    "timeseries",
                    ((rate("hourmark_dedup_rebalances_total"), "dedup"), (rate("hourmark_sink_rebalances_total"), "sink")),
                ),
                Panel(
                    "Canary, sent to …",
                    "timeseries",
                    ((quantile(0.99, "hourmark_canary_seconds", "stage"), "{{stage}} p99"),),
                    "s",
                    quiet=True,
                ),
            ),
        ),
    ),
)
