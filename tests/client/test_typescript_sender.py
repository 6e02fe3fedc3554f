"""The generated TypeScript sender, compiled under `tsc --strict` and run by Node.js, against a receiver that answers by script."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.node.toolchain import Node

Answer = tuple[int, Any, Mapping[str, str]]
Script = Callable[[int, dict[str, Any]], Answer]
NONE: Mapping[str, str] = {}


class Receiver(ThreadingHTTPServer):
    """Answers the n-th request (from 0) by `script`; keeps what came in `requests`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.script: Script = lambda _n, body: stored(body)
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.keys.add(f"{self.path} {self.headers['Authorization']}")
        status, answer, headers = self.server.script(len(self.server.requests) - 1, body)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        """Silent."""


def verdicts(body: Mapping[str, Any], **outcome: Any) -> Answer:
    return 200, {"results": {event["id"]: outcome for event in body["events"]}}, NONE


def stored(body: Mapping[str, Any]) -> Answer:
    return verdicts(body, verdict="stored", partition=0, offset=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def drive(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Runs tests/node/drive.ts, compiled with the sender, on a job; returns its report."""
    folder = tmp_path_factory.mktemp("sender")
    here = Path(__file__).parents[2]
    node.compile(folder, [here / "tests/node/drive.ts", here / "cli/gen/hourmark.ts"])

    def run(url: str, events: list[dict[str, Any]], close_ms: int = 60_000, **options: Any) -> dict[str, Any]:
        job = {"options": {"url": url, "writeKey": "k1", "app": "shop", "install": "i1", **options}, "events": events, "closeMs": close_ms}
        done = subprocess.run(
            [node.program, str(folder / "drive.js")], input=json.dumps(job), capture_output=True, text=True, timeout=120, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def events(count: int) -> list[dict[str, Any]]:
    return [{"type": "a.b", "payload": {"n": number}} for number in range(count)]


def test_one_request_in_the_native_protocol(drive: Any, receiver: Receiver) -> None:
    own = "0195a1c0-0000-7000-8000-000000000001"
    report = drive(receiver.url, [{"type": "a.b", "payload": {"t": "ü\u2028"}, "id": own, "big": "9007199254740993"}, *events(2)])
    assert [verdict["verdict"] for verdict in report["verdicts"]] == ["stored"] * 3
    [request] = receiver.requests
    assert receiver.keys == {"/v1/events Bearer k1"}
    assert (request["app"], request["install"], request["sdk"]["name"]) == ("shop", "i1", "hourmark-typescript")
    first = request["events"][0]
    assert first["id"] == own
    assert first["payload"] == {"t": "ü\u2028", "big": 9007199254740993, "bytes": "AP8=", "at": "1970-01-01T00:00:00.000Z"}
    assert [(event["seq"], event["attempt"]) for event in request["events"]] == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    "trouble",
    [(503, {"code": "overloaded", "message": ""}, {"Retry-After": "0"}), (0, b"", NONE), (200, b"<html>", NONE), (502, b"", NONE)],
    ids=["overloaded", "connection lost", "no answer of a receiver", "proxy"],
)
def test_nothing_known_means_everything_again_with_its_id(drive: Any, receiver: Receiver, trouble: Answer) -> None:
    receiver.script = lambda n, body: trouble if n < 2 else stored(body)
    report = drive(receiver.url, events(3))
    assert [verdict["verdict"] for verdict in report["verdicts"]] == ["stored"] * 3
    ids = [[event["id"] for event in request["events"]] for request in receiver.requests]
    assert ids == [ids[0]] * 3
    assert [request["events"][0]["attempt"] for request in receiver.requests] == [1, 2, 3]
    assert [event["seq"] for event in receiver.requests[-1]["events"]] == [1, 2, 3]


def test_each_event_has_its_own_verdict(drive: Any, receiver: Receiver) -> None:
    def script(n: int, body: dict[str, Any]) -> Answer:
        if n:
            return stored(body)
        outcomes: list[dict[str, Any]] = [
            {"verdict": "rejected", "code": "schema_mismatch", "path": "/payload/n", "detail": "no"},
            {"verdict": "retry", "code": "broker_unavailable", "retry_after": 0.01},
            {"verdict": "parked"},
        ]
        return 200, {"results": {e["id"]: o for e, o in zip(body["events"], outcomes, strict=True)}}, NONE

    receiver.script = script
    found = drive(receiver.url, events(3))["verdicts"]
    assert [verdict["verdict"] for verdict in found] == ["rejected", "stored", "parked"]
    assert (found[0]["code"], found[0]["path"]) == ("schema_mismatch", "/payload/n")
    assert [len(request["events"]) for request in receiver.requests] == [3, 1]


def test_one_bad_event_is_found_by_halving(drive: Any, receiver: Receiver) -> None:
    def script(_n: int, body: dict[str, Any]) -> Answer:
        bad = any(event["payload"]["n"] == 5 for event in body["events"])
        return (400, {"code": "invalid_envelope", "message": "no"}, NONE) if bad else stored(body)

    receiver.script = script
    found = [verdict["verdict"] for verdict in drive(receiver.url, events(8))["verdicts"]]
    assert found == ["stored"] * 5 + ["rejected"] + ["stored"] * 2


def test_a_wrong_key_is_final(drive: Any, receiver: Receiver) -> None:
    receiver.script = lambda _n, _body: (401, {"code": "unknown_key", "message": "who are you"}, NONE)
    found = drive(receiver.url, events(2))["verdicts"]
    assert [(verdict["verdict"], verdict["code"]) for verdict in found] == [("rejected", "unknown_key")] * 2
    assert len(receiver.requests) == 1


def test_deprecated_types_are_said_once(drive: Any, receiver: Receiver) -> None:
    told = {"Hourmark-Deprecated": "a.b;until=2027-03-01;replaced_by=a.c"}
    receiver.script = lambda _n, body: (200, stored(body)[1], told)
    report = drive(receiver.url, events(3), batchEvents=1)
    assert len(receiver.requests) == 3
    assert report["warned"] == ["hourmark: this event type is deprecated: a.b;until=2027-03-01;replaced_by=a.c"]


def test_what_cannot_be_sent_is_thrown_and_nothing_accepted(drive: Any, receiver: Receiver) -> None:
    wrong = [{"type": "nope", "payload": {}}, {"type": "a.b", "payload": {"t": "\ud800"}}, {"type": "a.b", "payload": {}, "id": "7"}]
    report = drive(receiver.url, [*wrong, {"type": "a.b", "payload": {"t": "x" * 2**20}}, *events(1)])
    assert [said.partition(":")[0] for said in report["thrown"]] == ["InvalidEvent"] * 4
    assert "/payload/t" in report["thrown"][1]
    assert len(report["verdicts"]) == 1
    assert receiver.requests[0]["events"][0]["seq"] == 1
    full = drive(receiver.url, events(10), bufferBytes=30)
    assert full["thrown"]
    assert all("BufferFull" in said for said in full["thrown"])


def test_close_says_what_it_gives_up(drive: Any, receiver: Receiver) -> None:
    receiver.script = lambda _n, _body: (503, {"code": "overloaded", "message": ""}, NONE)
    report = drive(receiver.url, events(3), close_ms=300)
    assert report["left"] == 3
    assert [verdict["verdict"] for verdict in report["verdicts"]] == ["undelivered"] * 3
