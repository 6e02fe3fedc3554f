from __future__ import annotations

import asyncio
import threading

import pytest

from hourmark_client import AsyncClient, Backoff, BatchLimits, BufferFull, Client, ClientClosed, HttpOptions, Undelivered, Verdict
from hourmark_client.buffer import EVENT_OVERHEAD

from .fakes import FakeTransport
from .servers import ScriptedReceiver, events_as, serving, status

TYPE = "player.song_played"
QUICK = HttpOptions(backoff=Backoff(0.005, 0.02), batch=BatchLimits(linger=0.01))
SIZE = EVENT_OVERHEAD + len(b'{"n":1}')


async def test_callbacks_run_in_the_loop_and_flush_waits_for_them() -> None:
    threads: set[int] = set()
    told: list[Verdict] = []

    def call(verdict: Verdict) -> None:
        threads.add(threading.get_ident())
        told.append(verdict)

    with serving(ScriptedReceiver(status(503, "overloaded"))) as url:
        async with AsyncClient.http(url, write_key="k", app="web", options=QUICK) as client:
            ids = [await client.send(TYPE, {"n": n}, on_verdict=call) for n in range(50)]
            assert await client.flush(20)
            assert sorted(v.event_id for v in told) == sorted(ids)
    assert threads == {threading.get_ident()}


async def test_a_future_per_event() -> None:
    with serving(ScriptedReceiver(then=events_as("rejected", code="schema_mismatch"))) as url:
        async with AsyncClient.http(url, write_key="k", app="web", options=QUICK) as client:
            futures = [await client.submit(TYPE, {"n": n}) for n in range(10)]
            verdicts = await asyncio.gather(*futures)
    assert {(v.verdict, v.code) for v in verdicts} == {("rejected", "schema_mismatch")}


async def test_a_full_buffer_makes_send_wait_without_blocking_the_loop() -> None:
    transport = FakeTransport(is_open=False)
    async with AsyncClient(Client(transport, app="web", buffer_bytes=10 * SIZE, block_timeout=20)) as client:
        for _ in range(10):
            await client.send(TYPE, {"n": 1})
        waiting = [asyncio.create_task(client.send(TYPE, {"n": 1})) for _ in range(25)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        transport.open.set()
        await asyncio.wait_for(asyncio.gather(*waiting), 20)
        assert await client.flush(20)
        assert client.stats().stored == 35
    assert [held.sequence for batch in transport.taken for held in batch] == list(range(1, 36))


async def test_waiting_ends_with_the_time_out_or_the_close() -> None:
    transport = FakeTransport(is_open=False)
    client = AsyncClient(Client(transport, app="web", buffer_bytes=2 * SIZE, block_timeout=0.05))
    for _ in range(2):
        await client.send(TYPE, {"n": 1})
    with pytest.raises(BufferFull):
        await client.send(TYPE, {"n": 1})
    client._client.block_timeout = 20
    waiting = asyncio.create_task(client.send(TYPE, {"n": 1}))
    await asyncio.sleep(0.02)
    with pytest.raises(Undelivered):
        await client.close(0.05)
    with pytest.raises(ClientClosed):
        await asyncio.wait_for(waiting, 20)


async def test_other_policies_as_in_the_synchronous_client() -> None:
    transport = FakeTransport(is_open=False)
    client = AsyncClient(Client(transport, app="web", buffer_bytes=2 * SIZE, when_full="raise"))
    for _ in range(2):
        await client.send(TYPE, {"n": 1})
    with pytest.raises(BufferFull):
        await client.send(TYPE, {"n": 1})
    transport.open.set()
    await client.close(20)
