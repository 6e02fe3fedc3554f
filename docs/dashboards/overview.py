"""Whether events flow, hours close, nothing is lost, and everybody is there: the first look."""

from __future__ import annotations

from pathlib import Path

import yaml

from .fields import STATES
from .panels import Dashboard, Panel, or_zero, quantile, rate

RULES = Path(__file__).parents[2] / "docker" / "prometheus" / "hourmark.rules.yml"
RUNBOOKS = tuple(
    (rule["alert"], rule["annotations"]["runbook"])
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
)
FIRING = 'ALERTS{alertname=~"Hourmark.*",alertstate="firing"}'
WHAT = ("service", "room", "stage", "partition", "code", "reason", "broker", "path", "instance")  # labels that say which one
ROOMS = 'hourmark_build_info{room=~"receiver|streams|sinks|registry"}'
_JOINED = ", ".join(f'"{label}"' for label in WHAT)
SHOWN = f'label_replace(label_join({FIRING}, "what", " ", {_JOINED}), "runbook", "$1", "alertname", "(.*)")'
SILENT = 'count(up{job="hourmark"} == 0)'
FAULTS = (
    "sum(increase(hourmark_sink_audit_faults_total[1d]))",
    "sum(increase(hourmark_sink_invariant_violations_total[1d]))",
    "sum(increase(hourmark_dedup_doubled_total[1d]))",
    "max(hourmark_dedup_index_lost)",
)

OVERVIEW = Dashboard(
    "hourmark-overview",
    "hourmark: platform overview",
    (
        (
            "At a glance",
            (
                Panel("Events stored a second", "stat", ((or_zero(rate("hourmark_receiver_stored_total")), ""),), "eps", 4, 4, trend=True),
                Panel(
                    "Oldest event that waits",
                    "stat",
                    (("max(hourmark:lag_seconds:max)", ""),),
                    "s",
                    4,
                    4,
                    steps=((120, "yellow"), (300, "red")),
                    trend=True,
                    none="nothing yet",
                    says="At dedup workers or sinks. From two minutes on, and still growing, it is an alert.",
                ),
                Panel(
                    "Types with an overdue hour",
                    "stat",
                    (("sum(hourmark:delivery_state == bool 4)", ""),),
                    width=4,
                    height=4,
                    words=(("0", "none"),),
                    steps=((1, "red"),),
                    none="no hour yet",
                    says="The next hour should have been sealed by now, by the promise of its tier: critical 5 min, standard 15, debug 60.",
                ),
                Panel(
                    "Lost or doubled, 24 h",
                    "stat",
                    ((f"ceil({' + '.join(f'({or_zero(fault)})' for fault in FAULTS)})", ""),),
                    width=4,
                    height=4,
                    words=(("0", "nothing"),),
                    steps=((1, "red"),),
                    says="Sums of the audit that differ, records of closed hours, ids doubled by a failover, a lost index: further down.",
                ),
                Panel(
                    "Alerts",
                    "stat",
                    ((or_zero(f"count({FIRING})"), ""),),
                    width=4,
                    height=4,
                    words=(("0", "none"),),
                    steps=((1, "orange"),),
                ),
                Panel(
                    "Processes missing",
                    "stat",
                    ((f"({or_zero(SILENT)}) + 4 - ({or_zero(f'count(count by (room) ({ROOMS}))')})", ""),),
                    width=4,
                    height=4,
                    words=(("0", "none"),),
                    steps=((1, "red"),),
                    says="Those that are known and do not answer, and each room of which nobody is there.",
                ),
                Panel(
                    "Alerts that fire",
                    "table",
                    ((SHOWN, ""),),
                    width=16,
                    height=7,
                    columns=(
                        ("alertname", "alert"),
                        ("severity", "severity"),
                        ("event_type", "event type"),
                        ("what", "which"),
                        ("runbook", "what to do"),
                    ),
                    pages=RUNBOOKS,
                    quiet=True,
                    none="No alert fires.",
                    says="What to do stands in the repository, in the file of the last column.",
                ),
                Panel(
                    "Event types by their newest hour",
                    "stat",
                    tuple((or_zero(f"count(hourmark:delivery_state == {state})"), text) for state, (text, _) in STATES.items()),
                    says="Overdue: the next hour should have been sealed by now. Every type: dashboard “delivery health”.",
                ),
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
                        (rate("hourmark_receiver_refusals_total", "status", "code"), "{{status}} {{code}}"),
                        (rate("hourmark_receiver_retries_total", "code"), "retry {{code}}"),
                    ),
                    "reqps",
                    quiet=True,
                    none="No request was refused.",
                ),
                Panel(
                    "Rejected: senders must change",
                    "timeseries",
                    ((rate("hourmark_receiver_rejected_total", "event_type", "code"), "{{event_type}} {{code}}"),),
                    "eps",
                    quiet=True,
                    none="No event was rejected.",
                ),
                Panel(
                    "Parked: types nobody declared",
                    "timeseries",
                    (("sum(hourmark_parked_waiting)", "waiting"), (rate("hourmark_parked_replayed_total"), "replayed")),
                    right=("replayed", "eps"),
                ),
            ),
        ),
        (
            "Do hours close?",
            (
                Panel(
                    "Oldest unread, by stage",
                    "timeseries",
                    (("max by (stage) (hourmark:lag_seconds:max)", "{{stage}}"),),
                    "s",
                    steps=((120, "yellow"),),
                ),
                Panel(
                    "Worst hour, past its promise",
                    "timeseries",
                    (("max by (tier) (hourmark:overdue_seconds)", "{{tier}}"),),
                    "s",
                    steps=((0, "red"),),
                    says="Below zero: so long until the promise of the tier would be broken.",
                ),
                Panel(
                    "Hours sealed",
                    "timeseries",
                    (
                        ("sum(increase(hourmark_sink_sealed_hours_total[$__rate_interval]))", "sealed"),
                        ("sum(increase(hourmark_sink_incomplete_hours_total[$__rate_interval]))", "incomplete"),
                    ),
                    bars=True,
                ),
            ),
        ),
        (
            "Is nothing lost or doubled?",
            (
                Panel(
                    "Duplicates removed",
                    "timeseries",
                    (("topk(10, hourmark:duplicates:ratio1h > 0)", "{{event_type}}"),),
                    "percentunit",
                    quiet=True,
                    none="No copy was removed.",
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
                    bars=True,
                ),
                Panel(
                    "Id index",
                    "timeseries",
                    (("max(hourmark_dedup_index_away)", "away"), ("max(hourmark_dedup_index_lost)", "lost")),
                    says="1 while it does not answer, or has lost its memory: events then wait on the raw topics.",
                ),
            ),
        ),
        (
            "Is everybody there?",
            (
                Panel("Processes", "stat", (("count by (room) (hourmark_build_info)", "{{room}}"),)),
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
                    none="Canary events are off: HOURMARK_CANARY_URL switches them on.",
                ),
            ),
        ),
    ),
)
