"""How many workers are wanted (by promtool's unit tests of the rules), and what docker/autoscale.py makes of it."""

from __future__ import annotations

import http.server
import json
import runpy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.monitoring.test_rules import known_names, names_in, run
from tests.monitoring.tools import RULES

AUTOSCALE = runpy.run_path(str(RULES.parent / "autoscale.py"))
Scaler, step, wanted_now = AUTOSCALE["Scaler"], AUTOSCALE["step"], AUTOSCALE["wanted_now"]


def test_promtool_takes_the_rules() -> None:
    run("check", "rules", "scaling.rules.yml")


def test_workers_wanted() -> None:
    run("test", "rules", "scaling.test.yml")


def test_the_rules_ask_only_for_what_somebody_shows() -> None:
    (group,) = yaml.safe_load((RULES / "scaling.rules.yml").read_text())["groups"]
    recorded = {rule["record"] for rule in group["rules"]}
    asked = {name for rule in group["rules"] for name in names_in(rule["expr"])}
    assert asked - recorded - known_names() == set()
    assert AUTOSCALE["QUERY"] in recorded


def test_up_at_once_down_one_by_one_after_a_while_of_calm() -> None:
    scaler, running, seen = Scaler(1, 4, 3), 1, []
    for wanted in (1, 3, 9, 4, 1, 1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1):
        running = scaler.look(running, wanted)
        seen.append(running)
    assert seen == [1, 3, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1]


class FakeCompose:
    """Runs what it is told to."""

    def __init__(self, **counts: int) -> None:
        self.counts, self.scaled = counts, list[dict[str, int]]()

    def running(self, service: str) -> int:
        return self.counts[service]

    def scale(self, counts: dict[str, int]) -> None:
        self.scaled.append(dict(counts))
        self.counts |= counts


@contextmanager
def prometheus(status: int, body: Any) -> Iterator[str]:
    """Answers every query with this."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def vector(**wanted: str) -> dict[str, Any]:
    found = [{"metric": {"__name__": "hourmark:workers_wanted", "room": room}, "value": [0, value]} for room, value in wanted.items()]
    return {"status": "success", "data": {"resultType": "vector", "result": found}}


def scalers() -> dict[str, Any]:
    return {room: Scaler(1, 4, 2) for room in ("dedup", "sink")}


def test_only_what_changes_is_scaled() -> None:
    compose = FakeCompose(dedup=1, sink=2)
    with prometheus(200, vector(dedup="3", sink="2")) as url:
        assert step(scalers(), compose, url) == "dedup 1 → 3"
        assert step(scalers(), compose, url) == ""
    assert compose.scaled == [{"dedup": 3}]


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (200, b"<html>"), (200, {"status": "error"}), (200, vector()), (200, vector(dedup="NaN")), (200, vector(registry="3"))],
)
def test_without_a_number_nothing_is_changed(status: int, body: Any) -> None:
    compose = FakeCompose(dedup=3, sink=2)
    with prometheus(status, body) as url:
        assert "nothing is changed" in step(scalers(), compose, url)
    assert compose.scaled == []


def test_prometheus_away() -> None:
    assert "gives no answer" in step(scalers(), FakeCompose(dedup=3, sink=2), "http://127.0.0.1:9")
