"""What a status says, and how services are asked."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

from local.ports import free_port
from local.status import ProcessStatus, StackStatus, asked, says_ok

STATUS = StackStatus(
    up=True,
    receiver="http://127.0.0.1:1",
    registry="http://127.0.0.1:2",
    kafka="127.0.0.1:3",
    redis="redis://127.0.0.1:4/0",
    lake="/lake",
    hour_seconds=15,
    hour_anchor="2026-03-01T07",
    write_key="local-x",
    processes=(ProcessStatus("kafka", 12, "running"), ProcessStatus("dedup-1", 13, "running", True)),
    kafka_ready=True,
    redis_ready=True,
    registry_ready=True,
    receiver_ready=True,
)


def test_json_has_the_shape_of_the_contract() -> None:
    assert STATUS.as_json() == {
        "receiver": "http://127.0.0.1:1",
        "registry": "http://127.0.0.1:2",
        "kafka": "127.0.0.1:3",
        "redis": "redis://127.0.0.1:4/0",
        "lake": "/lake",
        "hour_seconds": 15,
        "write_key": "local-x",
        "processes": [{"name": "kafka", "pid": 12, "state": "running"}, {"name": "dedup-1", "pid": 13, "state": "running"}],
    }


def test_ready_means_every_process_and_every_service() -> None:
    assert STATUS.ready
    assert not replace(STATUS, receiver_ready=False).ready
    assert not replace(STATUS, processes=(ProcessStatus("kafka", None, "backoff"),)).ready
    assert not replace(STATUS, up=False).ready
    lost = ProcessStatus("dedup-1", 13, "running", False, "index_lost: no canary")
    assert not replace(STATUS, processes=(lost,)).ready
    assert replace(STATUS, processes=(replace(lost, why="rebalancing"),)).ready


class Half(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_service_is_asked_by_its_own_page() -> None:
    with HTTPServer(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        assert asked(address, "/healthz") is True
        assert asked(address, "/readyz") is False
        assert not says_ok(address, "/readyz")
        server.shutdown()
    assert asked(f"127.0.0.1:{free_port()}", "/healthz") is None
