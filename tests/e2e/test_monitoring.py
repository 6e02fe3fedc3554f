"""A real Prometheus on a running platform: every panel of every dashboard shows data, and every rule can be evaluated."""

from __future__ import annotations

import runpy
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import remembered
from tests.e2e.platform import Load, Platform, until
from tests.monitoring.tools import Prometheus, running, tools

DASHBOARDS = runpy.run_module("docs.dashboards.grafana")["DASHBOARDS"]


def pages(platform: Platform) -> list[str]:
    """Where each process shows its metrics. The registry's is on its own port."""
    memory = remembered.read(platform.stack.home)
    assert memory is not None
    own = [f"127.0.0.1:{port}" for name, port in memory.ports.items() if name.startswith("metrics-") and name != "metrics-registry"]
    return sorted({*own, urlsplit(platform.registry).netloc})


def filled_in(expression: str, event_type: str) -> str:
    """A panel's query as Grafana would send it."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "5m").replace("$event_type", event_type)


@pytest.fixture(scope="module")
def watched(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, str]]:
    """Prometheus, and an event type that has had events, duplicates and sealed hours while it looked."""
    tools()
    event_type = platform.declare("watched", tier="standard")
    with running(tmp_path_factory.mktemp("prometheus"), pages(platform)) as prometheus:
        until("all pages to be scraped", lambda: len(prometheus.query("max_over_time(up[5m]) == 1")) == len(pages(platform)))
        with Load(platform, event_type, per_second=200) as load:
            load.flows(200)
            again = platform.hour_now()
            nobody = {"type": f"{event_type}_unknown", "id": str(uuid.uuid4()), "time": "2026-03-01T07:00:00Z", "payload": {}}
            status, _, _ = platform.post({"sdk": {"name": "test", "version": "1"}, "app": "e2e", "events": [nobody]})
            assert status == 200
            until("two hours to be sealed", lambda: platform.sealed_up_to(event_type) > again)
            until("the sealing to be seen", lambda: prometheus.query(f'hourmark:delivery_state{{event_type="{event_type}"}} > 0'))
            until("lags to be seen", lambda: len(prometheus.query(f'hourmark:lag_seconds:max{{event_type="{event_type}"}}')) == 2)
            until(
                "rates to be seen", lambda: prometheus.query(f'rate(hourmark_sink_sealed_rows_total{{event_type="{event_type}"}}[1m]) > 0')
            )
            yield prometheus, event_type


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard.uid for dashboard in DASHBOARDS])
def test_every_panel_shows_data(watched: tuple[Prometheus, str], dashboard: Any) -> None:
    prometheus, event_type = watched
    asked = 0
    for panel in (panel for _, row in dashboard.rows for panel in row):
        for expression, _ in panel.queries:
            found = prometheus.query(filled_in(expression, event_type))  # raises unless it is understood
            assert found or panel.quiet, f"{panel.title}: no data for {expression}"
            asked += 1
    assert asked > 5


def test_every_rule_is_evaluated(watched: tuple[Prometheus, str]) -> None:
    prometheus, _ = watched
    until("all rules to have been evaluated", lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()))
    rules = prometheus.rules()
    assert len(rules) > 30
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_the_pages_of_all_receivers_add_up(watched: tuple[Prometheus, str], platform: Platform) -> None:
    """The processes share a port for events, and each has a page of its own: none alone has seen them all."""
    prometheus, _ = watched
    event_type = platform.declare("shared_out", tier="debug")
    for number in range(60):  # a connection each: the kernel deals them out
        event = {"type": event_type, "id": str(uuid.uuid4()), "time": "2026-03-01T07:00:00Z", "payload": {"number": number}}
        status, _, _ = platform.post({"sdk": {"name": "test", "version": "1"}, "app": "e2e", "events": [event]})
        assert status == 200
    stored = f'hourmark_receiver_stored_total{{event_type="{event_type}"}}'
    until("all pages together to show 60 events", lambda: prometheus.query(f"sum({stored}) == 60"))
    assert len(prometheus.query(f"{stored} > 0 and {stored} < 60")) == 2
    until("dedup to have read as many", lambda: prometheus.query(f'sum(hourmark_dedup_consumed_total{{event_type="{event_type}"}}) == 60'))
