"""One behaviour for every id index: in memory, and in a real Valkey."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from dedup.index import Claims, Index
from dedup.memory import MemoryIndex
from dedup.plain import CANARY, CHUNK, PlainIndex
from hourmark.errors import IndexLost, IndexUnavailable, InvariantBroken
from hourmark.event import Coordinates
from local.ports import free_port
from local.redis import RedisServer
from tests.streams.stage import free_database

KEY = b"k" * 64


def claims(*records: tuple[int, int], append_ms: int = 0) -> Claims:
    """(id, offset) pairs as claims of partition 0."""
    return Claims(append_ms, b"".join(number.to_bytes(16, "big") + Coordinates(1, 0, offset).pack() for number, offset in records))


def owner(offset: int) -> bytes:
    return Coordinates(1, 0, offset).pack()


def plain(url: str, **changes: Any) -> PlainIndex:
    settings = {"hash_key": KEY, "window_days": 14, "claim_seconds": 1_000, "timeout": 2.0} | changes
    return PlainIndex(url, **settings)


Make = Callable[..., Index]


@pytest.fixture(params=["memory", pytest.param("plain", marks=pytest.mark.real)])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes indexes over one and the same store."""
    made: list[Index] = []
    if request.param == "memory":
        store: dict[int, MemoryIndex] = {}
        yield lambda claim_seconds=1_000: store.setdefault(claim_seconds, MemoryIndex(claim_seconds))
        return
    url, client = free_database(request.getfixturevalue("valkey"))

    def new(claim_seconds: int = 1_000) -> Index:
        made.append(plain(url, claim_seconds=claim_seconds))
        return made[-1]

    yield new
    for index in made:
        await index.close()
    client.flushdb()


@pytest.fixture
async def index(make: Make) -> Index:
    made = make()
    with pytest.raises(IndexLost):
        await made.open()
    await made.initialise()
    await made.open()
    return made


async def test_fresh_ids_have_no_conflict(index: Index) -> None:
    assert await index.claim([claims((1, 10), (2, 11)), claims((3, 12))]) == {}
    assert await index.claim([]) == {}


async def test_a_replay_recognises_itself(index: Index) -> None:
    await index.claim([claims((1, 10), (2, 11))])
    assert await index.claim([claims((1, 10), (2, 11))]) == {}


async def test_another_record_is_told_the_owner(index: Index) -> None:
    await index.claim([claims((1, 10))])
    assert await index.claim([claims((2, 20), (1, 21)), claims((1, 22))]) == {1: owner(10), 2: owner(10)}
    assert await index.claim([claims((1, 10))]) == {}, "the first claim stays"


async def test_copies_inside_one_batch_are_settled_in_order(index: Index) -> None:
    assert await index.claim([claims((7, 1), (7, 2)), claims((7, 3))]) == {1: owner(1), 2: owner(1)}


async def test_positions_hold_across_many_claims(index: Index) -> None:
    count = CHUNK * 2 + 10
    await index.claim([claims(*((number, number) for number in range(0, count, 500)))])
    found = await index.claim([claims(*((number, number + 1) for number in range(count)))])
    assert found == {number: owner(number) for number in range(0, count, 500)}


async def test_a_claim_ends_with_its_window(make: Make) -> None:
    short = make(1)
    await short.initialise()
    await short.claim([claims((1, 10))])
    assert await short.claim([claims((1, 11))]) == {0: owner(10)}
    deadline = time.monotonic() + 20
    while await short.claim([claims((1, 12))]):
        assert time.monotonic() < deadline
    assert await short.claim([claims((1, 12))]) == {}


async def test_initialising_twice_is_harmless(index: Index, make: Make) -> None:
    await index.claim([claims((1, 10))])
    other = make()
    await other.initialise()
    await other.open()
    assert await other.claim([claims((1, 11))]) == {0: owner(10)}


async def test_a_lost_index_is_rebuilt_by_claims_and_then_has_its_canary(make: Make) -> None:
    rebuilt = make()
    await rebuilt.restore()
    assert await rebuilt.claim([claims((1, 10))]) == {}
    await rebuilt.restore()
    assert await rebuilt.claim([claims((1, 10), (2, 11))]) == {}, "a rebuild that is begun again recognises its claims"
    await rebuilt.finish_restore()
    await rebuilt.finish_restore()
    worker = make()
    await worker.open()
    assert await worker.claim([claims((1, 20), (3, 21))]) == {0: owner(10)}
    assert await rebuilt.claim([claims((3, 22))]) == {0: owner(21)}


async def test_an_index_that_lost_nothing_is_not_rebuilt(index: Index) -> None:
    with pytest.raises(InvariantBroken, match="lost nothing"):
        await index.restore()


async def test_nobody_claims_while_an_index_is_rebuilt(make: Make, request: pytest.FixtureRequest) -> None:
    if "memory" in request.node.name:
        pytest.skip("the index in memory has one user")
    rebuilt, worker = make(), make()
    await rebuilt.restore()
    for attempt in (worker.open(), worker.initialise(), worker.claim([claims((1, 10))])):
        with pytest.raises(IndexLost):
            await attempt


@pytest.mark.real
class TestPlain:
    """What only a server can do to an index."""

    @pytest.fixture
    async def store(self, valkey: str) -> AsyncIterator[tuple[str, redis.Redis]]:
        url, client = free_database(valkey)
        yield url, client
        client.flushdb()

    async def test_scripts_are_loaded_again(self, store: tuple[str, redis.Redis]) -> None:
        url, client = store
        index = plain(url)
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.script_flush()
        assert await index.claim([claims((1, 11))]) == {0: owner(10)}
        await index.close()

    async def test_a_lost_memory_is_noticed_at_the_next_claim(self, store: tuple[str, redis.Redis]) -> None:
        url, client = store
        index = plain(url)
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.flushdb()
        with pytest.raises(IndexLost, match="canary"):
            await index.claim([claims((1, 10))])
        with pytest.raises(IndexLost):
            await index.open()
        await index.close()

    async def test_claims_without_canary_are_no_beginning(self, store: tuple[str, redis.Redis]) -> None:
        url, client = store
        index = plain(url)
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.delete(CANARY)
        with pytest.raises(IndexLost, match="without a canary"):
            await index.initialise()
        await index.close()

    @pytest.mark.parametrize("changes", [{"window_days": 7}, {"hash_key": b"other"}])
    async def test_other_settings_than_the_first_are_refused(self, store: tuple[str, redis.Redis], changes: dict[str, Any]) -> None:
        first, second = plain(store[0]), plain(store[0], **changes)
        await first.initialise()
        for attempt in (second.open, second.initialise):
            with pytest.raises(InvariantBroken, match="other settings"):
                await attempt()
        await first.close()
        await second.close()

    async def test_a_server_that_evicts_is_refused(self, store: tuple[str, redis.Redis]) -> None:
        url, client = store
        index = plain(url)
        await index.initialise()
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(InvariantBroken, match="noeviction"):
                await index.open()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
        await index.close()

    async def test_nobody_there(self) -> None:
        index = plain(f"redis://127.0.0.1:{free_port()}/0")
        for attempt in (index.open(), index.initialise(), index.claim([claims((1, 10))])):
            with pytest.raises(IndexUnavailable):
                await attempt
        await index.close()

    async def test_a_restart_keeps_the_claims(self, valkey_server: RedisServer) -> None:
        url, client = free_database(valkey_server.url)
        index = plain(url)
        await index.initialise()
        await index.claim([claims((1, 10))])
        valkey_server.stop()
        try:
            with pytest.raises(IndexUnavailable):
                await index.claim([claims((1, 11))])
        finally:
            valkey_server.start()
        assert await index.claim([claims((1, 11))]) == {0: owner(10)}
        await index.close()
        client.flushdb()
