"""The HTTP transport against a receiver that misbehaves: same ids, growing attempts, every event its verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from hourmark_client import Backoff, BatchLimits, Client, ClientError, HttpOptions, Undelivered, Verdict

from .fakes import until
from .servers import Body, Reply, ScriptedReceiver, events_as, hang_up, results, serving, slow, status, stored, text

TYPE = "player.song_played"
QUICK = HttpOptions(backoff=Backoff(0.005, 0.02), batch=BatchLimits(linger=0.01))
ONE_THREAD = HttpOptions(backoff=Backoff(0.005, 0.02), batch=BatchLimits(linger=0.05), threads=1)
Start = Callable[..., tuple[Client, ScriptedReceiver, list[Verdict]]]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*script: Any, then: Any = stored, **more: Any) -> tuple[Client, ScriptedReceiver, list[Verdict]]:
            receiver = ScriptedReceiver(*script, then=then)
            url = stack.enter_context(serving(receiver))
            told: list[Verdict] = []
            client = Client.http(url, write_key="key", app="web", on_verdict=told.append, **{"options": QUICK, **more})
            stack.callback(_end, client)
            return client, receiver, told

        yield begin


def _end(client: Client) -> None:
    with suppress(Undelivered):
        client.close(0)


def test_the_request_is_what_the_contract_says(start: Start) -> None:
    client, receiver, told = start(install="box")
    event_id = client.send(TYPE, {"track": "é", "ms": 1}, time=1_772_348_398.5)
    assert client.flush(20)
    body, headers = receiver.bodies[0], receiver.headers[0]
    assert headers["Authorization"] == "Bearer key"
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/json", "gzip")
    assert set(body) == {"sdk", "app", "install", "sent_at", "events"}
    assert (body["app"], body["install"], body["sdk"]["name"]) == ("web", "box", "hourmark-python")
    assert body["sent_at"].endswith("Z")
    assert body["events"] == [
        {"type": TYPE, "id": event_id, "time": "2026-03-01T06:59:58.500000Z", "seq": 1, "attempt": 1, "payload": {"track": "é", "ms": 1}}
    ]
    assert [(v.verdict, v.partition, v.offset) for v in told] == [("stored", 1, 0)]


@pytest.mark.parametrize(
    "trouble",
    [
        hang_up,
        status(503, "overloaded"),
        status(500),
        status(502),
        status(429, "quota_exceeded"),
        status(408, "x"),
        status(404),
        status(302, Location="/elsewhere"),
        status(202),
        status(204),
        text(b"garbage"),
        text(b'{"results": 3}'),
        text(b'{"results": {}}'),
        text(b'{"results": {"other": {"verdict": "stored"}}}'),
        text(b""),
        events_as("perhaps"),
        events_as("retry", code="broker_unavailable", retry_after=0.01),
        lambda body: results({event["id"]: ["stored"] for event in body["events"]}),
    ],
)
def test_trouble_is_met_with_the_same_ids_and_growing_attempts(start: Start, trouble: Any) -> None:
    client, receiver, told = start(trouble, trouble, options=ONE_THREAD)
    ids = [client.send(TYPE, {"n": n}) for n in range(20)]
    assert client.flush(20)
    assert receiver.attempts() == {event_id: [1, 2, 3] for event_id in ids}
    assert sorted(v.event_id for v in told) == sorted(ids)
    assert {(v.verdict, v.attempt) for v in told} == {("stored", 3)}
    assert client.stats().retried == 40
    assert receiver.bodies[0]["sent_at"] <= receiver.bodies[1]["sent_at"]
    assert [event["seq"] for event in receiver.bodies[2]["events"]] == list(range(1, 21))


def test_a_lost_connection_and_a_slow_receiver(start: Start) -> None:
    options = HttpOptions(backoff=Backoff(0.005, 0.02), batch=BatchLimits(linger=0.01), threads=1, request_timeout=0.2)
    client, receiver, _ = start(slow(1.0), options=options)
    event_id = client.send(TYPE, {})
    assert client.flush(20)
    assert receiver.attempts()[event_id][:2] == [1, 2]


def test_a_receiver_that_is_not_there_yet() -> None:
    with serving(ScriptedReceiver()) as url:
        pass
    client = Client.http(url, write_key="k", app="web", options=QUICK)
    client.send(TYPE, {})
    until(lambda: client.stats().retried >= 2)
    with pytest.raises(Undelivered):
        client.close(0)


def test_only_the_unanswered_events_go_again(start: Start) -> None:
    def half(body: Body) -> Reply:
        verdicts: dict[str, Any] = {event["id"]: {"verdict": "stored"} for event in body["events"] if event["payload"]["n"] % 2 == 0}
        verdicts[body["events"][1]["id"]] = {"verdict": "rejected", "code": "schema_mismatch", "path": "/payload/n", "detail": "no"}
        verdicts[body["events"][3]["id"]] = {"verdict": "parked"}
        verdicts[body["events"][5]["id"]] = {"verdict": 7}
        return results(verdicts)

    client, receiver, told = start(half, options=ONE_THREAD)
    ids = [client.send(TYPE, {"n": n}) for n in range(10)]
    assert client.flush(20)
    attempts = receiver.attempts()
    assert [attempts[i] for i in ids] == [[1], [1], [1], [1], [1], [1, 2], [1], [1, 2], [1], [1, 2]]
    by_id = {v.event_id: v for v in told}
    assert (by_id[ids[1]].verdict, by_id[ids[1]].code, by_id[ids[1]].path) == ("rejected", "schema_mismatch", "/payload/n")
    assert by_id[ids[3]].verdict == "parked"
    stats = client.stats()
    assert (stats.stored, stats.parked, stats.rejected, stats.retried) == (8, 1, 1, 3)


def test_retry_after_is_obeyed(start: Start) -> None:
    client, receiver, _ = start(
        status(503, "overloaded", Retry_After="0.4"), events_as("retry", code="broker_unavailable", retry_after=0.3), options=ONE_THREAD
    )
    client.send(TYPE, {})
    assert client.flush(20)
    first, second, third = receiver.times
    assert second - first >= 0.4
    assert third - second >= 0.3


@pytest.mark.parametrize(("code", "error", "expected"), [(401, "unknown_key", "unknown_key"), (403, None, "http_403")])
def test_a_wrong_key_is_final_and_loud(start: Start, code: int, error: str | None, expected: str) -> None:
    client, _receiver, told = start(then=status(code, error))
    ids = [client.send(TYPE, {"n": n}) for n in range(3)]
    assert client.flush(20)
    assert sorted((v.event_id, v.verdict, v.code) for v in told) == sorted((i, "rejected", expected) for i in ids)


def test_rejections_that_nobody_listens_to_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    receiver = ScriptedReceiver(then=status(401, "unknown_key"))
    with serving(receiver) as url, Client.http(url, write_key="k", app="web", options=QUICK) as client:
        client.send(TYPE, {})
        assert client.flush(20)
    assert any("unknown_key" in record.getMessage() for record in caplog.records)


def test_a_deprecated_type_is_said_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def deprecated(body: Body) -> Reply:
        code, _, answer = stored(body) or (0, {}, b"")
        return code, {"Hourmark-Deprecated": f"{TYPE};until=2027-03-01;replaced_by=player.song_played_v2, player.other"}, answer

    client, _, told = start(then=deprecated)
    for _ in range(3):
        client.send(TYPE, {"x": 1})
        assert client.flush(20)
    assert [verdict.verdict for verdict in told] == ["stored"] * 3
    assert [record.getMessage() for record in caplog.records if "deprecated" in record.getMessage()] == [
        f"{TYPE} is deprecated, and may be gone from 2027-03-01 on; send player.song_played_v2 instead",
        "player.other is deprecated",
    ]


def test_a_413_splits_until_it_fits_and_names_the_one_that_never_will(start: Start) -> None:
    def at_most_two(body: Body) -> Reply:
        large = len(body["events"]) > 2 or any(event["payload"]["n"] == 5 for event in body["events"])
        return status(413, "event_too_large")(body) if large else stored(body)

    client, receiver, told = start(options=ONE_THREAD, then=at_most_two)
    ids = [client.send(TYPE, {"n": n}) for n in range(8)]
    assert client.flush(20)
    assert {v.event_id: v.verdict for v in told} == {i: "rejected" if n == 5 else "stored" for n, i in enumerate(ids)}
    assert next(v.code for v in told if v.verdict == "rejected") == "event_too_large"
    assert all(tries == list(range(1, len(tries) + 1)) for tries in receiver.attempts().values())


def test_a_400_of_one_poison_event_harms_no_other(start: Start) -> None:
    def no_three(body: Body) -> Reply:
        return status(400, "invalid_envelope")(body) if any(event["payload"]["n"] == 3 for event in body["events"]) else stored(body)

    client, _, told = start(options=ONE_THREAD, then=no_three)
    ids = [client.send(TYPE, {"n": n}) for n in range(8)]
    assert client.flush(20)
    assert {v.event_id: v.code for v in told} == {i: "invalid_envelope" if n == 3 else None for n, i in enumerate(ids)}


def test_a_proxys_400_is_not_believed(start: Start) -> None:
    client, _, told = start(status(400), status(400), options=ONE_THREAD)
    client.send(TYPE, {})
    assert client.flush(20)
    assert [v.verdict for v in told] == ["stored"]


def test_a_415_ends_compression(start: Start) -> None:
    client, receiver, told = start(status(415, "unsupported"), options=ONE_THREAD)
    client.send(TYPE, {})
    assert client.flush(20)
    assert [headers.get("Content-Encoding") for headers in receiver.headers] == ["gzip", None]
    assert [v.verdict for v in told] == ["stored"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_compressions(start: Start, compression: str) -> None:
    client, receiver, _told = start(options=HttpOptions(compression=compression))
    client.send(TYPE, {"a": "b" * 100})
    assert client.flush(20)
    assert receiver.bodies[0]["events"][0]["payload"] == {"a": "b" * 100}


def test_batches_keep_to_their_limits(start: Start) -> None:
    client, receiver, _ = start(options=HttpOptions(batch=BatchLimits(events=7, bytes=64 * 1024, linger=0.2), threads=1))
    for n in range(50):
        client.send(TYPE, {"n": n})
    for _ in range(4):
        client.send("a.large", {"x": "y" * 40_000})
    assert client.flush(20)
    assert max(len(body["events"]) for body in receiver.bodies) == 7
    assert all(len([e for e in body["events"] if e["type"] == "a.large"]) <= 1 for body in receiver.bodies)
    assert sum(len(body["events"]) for body in receiver.bodies) == 54


def test_a_lingering_batch_leaves_without_a_flush(start: Start) -> None:
    client, receiver, told = start(options=HttpOptions(batch=BatchLimits(linger=0.05)))
    client.send(TYPE, {})
    until(lambda: told)
    assert len(receiver.bodies) == 1


def test_one_id_twice_goes_in_two_requests(start: Start) -> None:
    client, receiver, told = start(options=ONE_THREAD)
    event_id = client.send(TYPE, {"n": 1})
    client.send(TYPE, {"n": 2}, event_id=event_id)
    assert client.flush(20)
    assert [len(body["events"]) for body in receiver.bodies] == [1, 1]
    assert [v.event_id for v in told] == [event_id, event_id]


def test_a_closing_client_does_not_wait_for_a_stuck_receiver(start: Start) -> None:
    client, _, told = start(then=slow(30))
    client.send(TYPE, {})
    started = time.monotonic()
    with pytest.raises(Undelivered):
        client.close(0.2)
    assert time.monotonic() - started < 15
    assert [v.verdict for v in told] == ["undelivered"]


def test_options_are_checked() -> None:
    for bad in ({"batch": BatchLimits(events=20_000)}, {"batch": BatchLimits(bytes=30 * 1024 * 1024)}, {"threads": 0}):
        with pytest.raises(ClientError):
            HttpOptions(**bad)
    with pytest.raises(ClientError):
        Client.http("http://x", write_key="k", app="web", options=HttpOptions(compression="brotli"))


def test_a_program_that_just_ends_has_sent_its_events() -> None:
    receiver = ScriptedReceiver(status(503, "overloaded"))
    program = (
        "import sys; from hourmark_client import Client\n"
        "client = Client.http(sys.argv[1], write_key='k', app='script')\n"
        "for n in range(100): client.send('a.thing', {'n': n})\n"
    )
    with serving(receiver) as url:
        subprocess.run([sys.executable, "-c", program, url], check=True, timeout=60)
    assert len(receiver.attempts()) == 100


def test_a_fork_with_events_in_flight_sends_each_once_and_the_child_its_own(start: Start) -> None:
    client, receiver, _ = start(slow(0.3), install="box", options=ONE_THREAD)
    ids = [client.send(TYPE, {"n": n}) for n in range(10)]
    until(lambda: receiver.bodies)
    client.send(TYPE, {"n": 10})
    child = os.fork()
    if child == 0:
        code = 1
        try:
            client.send("a.child", {})
            code = 0 if client.flush(20) and client.stats().stored == 1 else 2
        finally:
            os._exit(code)
    _, code = os.waitpid(child, 0)
    assert code == 0
    assert client.flush(20)
    assert client.stats().stored == 11
    events = [(body["install"], event["type"], event["seq"]) for body in receiver.bodies for event in body["events"]]
    assert len(events) == len(set(events)) == 12
    assert sorted(seq for install, _, seq in events if install == "box") == list(range(1, 12))
    assert [(kind, seq) for install, kind, seq in events if install != "box"] == [("a.child", 1)]
    assert len(ids) == 10
