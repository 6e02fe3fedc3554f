"""Addresses are asked side by side; whatever is away, hangs or answers nonsense is one line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.addresses import Addresses
from cli.health.asking import page, together
from cli.health.services import ask_all, shown
from hourmark.errors import LakeUnavailable, Unavailable
from local.ports import free_port


class Answers(BaseHTTPRequestHandler):
    """`/ready/…` is well, `/not/…` is not, `/proxy/…` speaks no JSON, everything else is silence."""

    def do_GET(self) -> None:
        status, body = {
            "/ready/readyz": (200, json.dumps({"status": "ready"})),
            "/not/readyz": (503, json.dumps({"status": "not ready", "reason": "no write key"})),
            "/proxy/readyz": (503, "<html>no server</html>"),
            "/ready/v1/events?limit=1000&after=": (200, json.dumps({"events": [{"event": "a.b", "tier": "debug"}], "next": None})),
            "/ready/v1/nodes": (200, json.dumps({"revision": 7, "nodes": []})),
        }.get(self.path, (0, ""))
        if status:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_each_service_in_a_line(server: str, tmp_path: Path) -> None:
    found = ask_all(Addresses(receiver=f"{server}/not", registry=f"{server}/ready", lake=str(tmp_path)))
    said = {one.name: (one.ok, one.says) for one in found.services}
    assert said["receiver"] == (False, "not ready: no write key")
    assert said["registry"] == (True, "ready, revision 7")
    assert said["kafka"] == (None, "not asked: HOURMARK_KAFKA is not set")
    assert said["index"] == (None, "not asked: HOURMARK_REDIS_URL is not set")
    assert "of its volume" in said["lake"][1]
    assert found.catalogued is not None
    assert list(found.catalogued.types) == ["a.b"]
    assert found.topics is None


@pytest.mark.parametrize(("path", "words"), [("proxy", "no receiver behind it (503)"), ("silent", "does not answer")])
def test_a_balancer_speaks_for_receivers(server: str, path: str, words: str) -> None:
    assert words in ask_all(Addresses(receiver=f"{server}/{path}")).services[0].says


def test_what_is_away(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    at = Addresses(
        receiver=f"http://{nobody}",
        registry=f"http://{nobody}",
        kafka=nobody,
        redis=f"redis://u:secret@{nobody}/0",
        lake=str(tmp_path / "no"),
    )
    found = ask_all(at)
    assert [one.ok for one in found.services] == [False] * 5
    assert "secret" not in str(found)
    assert (found.catalogued, found.topics) == (None, None)


def test_an_address_without_its_password() -> None:
    assert shown("rediss://:pw@host:6379/1") == "rediss://host:6379/1"
    assert shown("kafka-1:9092,kafka-2:9092") == "kafka-1:9092,kafka-2:9092"


def test_who_does_not_answer_is_left_behind() -> None:
    def refuses() -> None:
        raise LakeUnavailable("full")

    go_on = threading.Event()
    found = together({"fine": lambda: 1, "refuses": refuses, "hangs": go_on.wait}, 0.2)
    go_on.set()
    assert found["fine"] == 1
    assert isinstance(found["refuses"], LakeUnavailable)
    assert isinstance(found["hangs"], Unavailable)


def test_a_fault_of_ours_is_not_hidden() -> None:
    def broken() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        together({"broken": broken, "fine": time.monotonic}, 5.0)


def test_a_page_that_is_none() -> None:
    assert page("nonsense").status is None
