"""The client on a fake transport: admission, sequences, policies, flush and close, callbacks, fork."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hourmark_client import BatchLimits, BufferFull, Client, ClientClosed, ClientError, InvalidEvent, Undelivered, Verdict, __version__
from hourmark_client.buffer import EVENT_OVERHEAD

from .fakes import FakeTransport, until

TYPE = "player.song_played"
SIZE = EVENT_OVERHEAD + len(b'{"n":1}')


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made: list[Client] = []
    yield made
    for client in made:
        with contextlib.suppress(Undelivered):
            client.close(0)


def test_every_event_gets_one_verdict_with_its_id(clients: list[Client]) -> None:
    told: list[Verdict] = []
    any_: list[Verdict] = []
    client = Client(FakeTransport(), app="web", on_verdict=any_.append)
    clients.append(client)
    ids = [client.send(TYPE, {"n": n}, on_verdict=told.append) for n in range(500)]
    assert client.flush(20)
    assert [verdict.event_id for verdict in told] == ids == [verdict.event_id for verdict in any_]
    assert {(v.verdict, v.event_type, v.attempt) for v in told} == {("stored", TYPE, 1)}
    stats = client.stats()
    assert (stats.accepted, stats.stored, stats.pending, stats.buffered_bytes) == (500, 500, 0, 0)


def test_sequences_run_gapless_per_type_under_threads(clients: list[Client]) -> None:
    transport = FakeTransport()
    client = Client(transport, app="web")
    clients.append(client)
    types = ["a.one", "a.two"]
    threads = [threading.Thread(target=lambda: [client.send(types[n % 2], {"n": n}) for n in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    held = [held for batch in transport.taken for held in batch]
    for name in types:
        assert [h.sequence for h in held if h.event_type == name] == list(range(1, 2001))


def test_the_payload_is_frozen_at_send(clients: list[Client]) -> None:
    transport = FakeTransport(is_open=False, batch=BatchLimits(linger=5))
    client = Client(transport, app="web")
    clients.append(client)
    payload: dict[str, Any] = {"n": [1]}
    client.send(TYPE, payload)
    payload["n"].append(2)
    payload["m"] = 1
    transport.open.set()
    assert client.flush(20)
    assert json.loads(transport.taken[0][0].payload) == {"n": [1]}


def test_a_wrong_call_takes_no_sequence_number(clients: list[Client]) -> None:
    transport = FakeTransport()
    client = Client(transport, app="web")
    clients.append(client)
    wrong: list[dict[str, Any]] = [{"event_type": "x"}, {"payload": {"a": float("nan")}}, {"event_id": "x"}, {"time": "now"}]
    for bad in wrong:
        arguments: dict[str, Any] = {"event_type": TYPE, "payload": {}, **bad}
        with pytest.raises(InvalidEvent):
            client.send(**arguments)
    client.send(TYPE, {})
    assert client.flush(20)
    assert [held.sequence for batch in transport.taken for held in batch] == [1]


def _fill(client: Client, transport: FakeTransport, events: int) -> None:
    """Fill a buffer made for so many events; the transport holds the first."""
    for n in range(events):
        client.send(TYPE, {"n": n % 10})
    until(lambda: transport.taken)


def test_policy_raise(clients: list[Client]) -> None:
    transport = FakeTransport(is_open=False)
    client = Client(transport, app="web", buffer_bytes=10 * SIZE, when_full="raise")
    clients.append(client)
    _fill(client, transport, 10)
    with pytest.raises(BufferFull):
        client.send(TYPE, {"n": 1})
    transport.open.set()
    assert client.flush(20)
    client.send(TYPE, {"n": 1})
    assert client.flush(20)
    assert client.stats().stored == 11
    assert [held.sequence for batch in transport.taken for held in batch] == list(range(1, 12))


def test_policy_block_waits_for_room_and_gives_up_after_its_time_out(clients: list[Client]) -> None:
    transport = FakeTransport(is_open=False)
    client = Client(transport, app="web", buffer_bytes=10 * SIZE, block_timeout=0.05)
    clients.append(client)
    _fill(client, transport, 10)
    with pytest.raises(BufferFull):
        client.send(TYPE, {"n": 1})
    client.block_timeout = 20
    threading.Timer(0.05, transport.open.set).start()
    client.send(TYPE, {"n": 1})
    assert client.flush(20)
    assert client.stats().stored == 11


def test_policy_drop_newest_is_loud_and_leaves_a_gap(clients: list[Client], caplog: pytest.LogCaptureFixture) -> None:
    transport = FakeTransport(is_open=False)
    told: list[Verdict] = []
    client = Client(transport, app="web", buffer_bytes=10 * SIZE, when_full="drop_newest", on_verdict=told.append)
    clients.append(client)
    _fill(client, transport, 10)
    dropped = [client.send(TYPE, {"n": 1}) for _ in range(5)]
    assert [(v.event_id, v.verdict, v.code) for v in told] == [(lost, "undelivered", "buffer_full") for lost in dropped]
    assert sum("buffer of web full" in record.getMessage() for record in caplog.records) == 1
    transport.open.set()
    assert client.flush(20)
    client.send(TYPE, {"n": 1})
    assert client.flush(20)
    assert [h.sequence for batch in transport.taken for h in batch] == [*range(1, 11), 16]
    stats = client.stats()
    assert (stats.accepted, stats.stored, stats.undelivered, stats.dropped) == (16, 11, 5, 5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.integers(1, 8000))
def test_memory_stays_bounded_and_nothing_is_lost(sizes: list[int], limit: int) -> None:
    client = Client(FakeTransport(), app="web", buffer_bytes=limit, block_timeout=20)
    for size in sizes:
        client.send(TYPE, {"x": "a" * size})
        assert client.stats().buffered_bytes <= max(limit, size + EVENT_OVERHEAD + 10)
    client.close(20)
    assert client.stats().stored == len(sizes)


def test_close_tells_how_many_were_not_delivered(clients: list[Client]) -> None:
    transport = FakeTransport(is_open=False, batch=BatchLimits(events=3, linger=0.0))
    told: list[Verdict] = []
    client = Client(transport, app="web", on_verdict=told.append)
    ids = [client.send(TYPE, {"n": n}) for n in range(10)]
    until(lambda: transport.taken)
    started = time.monotonic()
    with pytest.raises(Undelivered) as caught:
        client.close(0.1)
    assert caught.value.count == 10
    assert time.monotonic() - started < 10
    assert sorted(v.event_id for v in told) == sorted(ids)
    assert {v.verdict for v in told} == {"undelivered"}
    with pytest.raises(ClientClosed):
        client.send(TYPE, {})
    client.close()
    assert len(told) == 10, "a late answer must not tell a second verdict"


def test_with_flushes_and_raises_only_when_nothing_else_did() -> None:
    with Client(FakeTransport(), app="web") as client:
        client.send(TYPE, {})
    assert client.stats().stored == 1
    with pytest.raises(ZeroDivisionError), Client(FakeTransport(), app="web"):
        raise ZeroDivisionError


def test_flush_and_close_in_a_callback_are_refused_and_a_raising_callback_harms_nobody(clients: list[Client]) -> None:
    client = Client(FakeTransport(), app="web")
    clients.append(client)
    caught: list[Exception] = []

    def call(verdict: Verdict) -> None:
        for method in (client.flush, client.close):
            try:
                method()
            except ClientError as exc:
                caught.append(exc)
        raise ValueError("mine")

    told: list[Verdict] = []
    client.send(TYPE, {}, on_verdict=call)
    client.send(TYPE, {}, on_verdict=told.append)
    assert client.flush(20)
    assert len(caught) == 2
    assert len(told) == 1


def test_a_callback_may_send(clients: list[Client]) -> None:
    client = Client(FakeTransport(), app="web")
    clients.append(client)
    client.send(TYPE, {"n": 1}, on_verdict=lambda _: client.send("a.second", {}))
    assert client.flush(20)
    assert client.stats().stored == 2


def test_a_forked_child_starts_empty_under_another_installation(clients: list[Client]) -> None:
    transport = FakeTransport(is_open=False)
    client = Client(transport, app="web", install="box")
    clients.append(client)
    for n in range(5):
        client.send(TYPE, {"n": n})
    until(lambda: transport.taken)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            transport.open = threading.Event()
            transport.open.set()
            client.send(TYPE, {"child": True})
            flushed = client.flush(20)
            held = [held for batch in transport.taken for held in batch]
            said = [flushed, client.install, transport.senders[-1].install, [h.sequence for h in held], client.stats().accepted]
            os.write(write, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    flushed, install, sender, sequences, accepted = json.loads(os.read(read, 10_000))
    os.close(read)
    os.close(write)
    assert flushed
    assert install == sender
    assert install.startswith("box~")
    assert (sequences, accepted) == ([1], 1)
    transport.open.set()
    assert client.flush(20)
    assert client.install == "box"
    assert client.stats().stored == 5


def test_the_version_said_on_the_wire_is_the_distributions() -> None:
    said = tomllib.loads((Path(__file__).parents[2] / "client" / "pyproject.toml").read_text())
    assert __version__ == said["project"]["version"]


def test_settings_are_checked() -> None:
    with pytest.raises(ClientError):
        Client(FakeTransport(), app="")
    with pytest.raises(ClientError):
        Client(FakeTransport(), app="web", install="x" * 241)
    with pytest.raises(ClientError):
        Client(FakeTransport(), app="x", when_full="explode")  # type: ignore[arg-type]  # the point of the test
    for url in ("localhost:80", "ftp://x", ""):
        with pytest.raises(ClientError):
            Client.http(url, write_key="k", app="x")
