"""One behaviour for every id index: in memory, and in a real Valkey."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from dedup.compact import CompactIndex, CompactOptions
from dedup.index import Claims, Index
from dedup.memory import MemoryIndex
from dedup.plain import CHUNK, PlainIndex
from hourmark.errors import IndexLost, IndexUnavailable, InvariantBroken
from hourmark.event import Coordinates
from hourmark.hours import Hours
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


def compact(url: str, **changes: Any) -> CompactIndex:
    options = {"hash_key": KEY, "window_days": 14, "hours": Hours(), "ids_a_day": 1_000, "timeout": 2.0} | changes
    return CompactIndex(url, CompactOptions(**options))


MAKERS: dict[str, Callable[..., PlainIndex | CompactIndex]] = {"plain": plain, "compact": compact}
Make = Callable[..., Index]


@pytest.fixture(
    params=["memory", pytest.param("plain", marks=pytest.mark.real), pytest.param("compact", marks=pytest.mark.real)],
)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes indexes over one and the same store."""
    made: list[Index] = []
    if request.param == "memory":
        store: dict[int, MemoryIndex] = {}
        yield lambda claim_seconds=1_000: store.setdefault(claim_seconds, MemoryIndex(claim_seconds))
        return
    url, client = free_database(request.getfixturevalue("valkey"))

    def new(claim_seconds: int = 1_000) -> Index:
        made.append(plain(url, claim_seconds=claim_seconds) if request.param == "plain" else compact(url))
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


async def test_a_claim_ends_with_its_window(make: Make, request: pytest.FixtureRequest) -> None:
    if "compact" in request.node.name:
        pytest.skip("its window is in days, see integration/test_dedup_compact.py")
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
@pytest.mark.parametrize("kind", ["plain", "compact"])
class TestServer:
    """What only a server can do to an index."""

    @pytest.fixture
    async def store(self, valkey: str, kind: str) -> AsyncIterator[tuple[Callable[..., Index], redis.Redis]]:
        """Makes indexes in one database, and a client of it."""
        url, client = free_database(valkey)
        made: list[Index] = []

        def new(**changes: Any) -> Index:
            made.append(MAKERS[kind](url, **changes))
            return made[-1]

        yield new, client
        for index in made:
            await index.close()
        client.flushdb()

    async def test_scripts_are_loaded_again(self, store: tuple[Callable[..., Index], redis.Redis]) -> None:
        new, client = store
        index = new()
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.script_flush()
        assert await index.claim([claims((1, 11))]) == {0: owner(10)}

    async def test_a_lost_memory_is_noticed_at_the_next_claim(self, store: tuple[Callable[..., Index], redis.Redis]) -> None:
        new, client = store
        index = new()
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.flushdb()
        for attempt in (index.claim([claims((1, 10))]), index.open(), index.memory()):
            with pytest.raises(IndexLost, match="canary"):
                await attempt

    async def test_claims_without_canary_are_no_beginning(self, store: tuple[Callable[..., Index], redis.Redis], kind: str) -> None:
        new, client = store
        index = new()
        await index.initialise()
        await index.claim([claims((1, 10))])
        client.delete("hm:canary", *(f"{{{shard}}}{name}" for shard in range(8) for name in "im"))
        with pytest.raises(IndexLost, match="without a canary"):
            await index.initialise()
        with pytest.raises(IndexLost, match="canary"):
            await index.claim([claims((2, 11))])

    @pytest.mark.parametrize("changes", [{"window_days": 7}, {"hash_key": b"other"}])
    async def test_other_settings_than_the_first_are_refused(
        self, store: tuple[Callable[..., Index], redis.Redis], changes: dict[str, Any]
    ) -> None:
        new, _ = store
        first, second = new(), new(**changes)
        await first.initialise()
        for attempt in (second.open, second.initialise):
            with pytest.raises(InvariantBroken, match="other settings"):
                await attempt()

    @pytest.mark.parametrize(
        ("setting", "value", "said"), [("maxmemory-policy", "allkeys-lru", "noeviction"), ("hash-max-listpack-entries", "128", "512")]
    )
    async def test_a_server_that_is_unfit_is_refused(
        self, valkey_server: RedisServer, kind: str, setting: str, value: str, said: str
    ) -> None:
        if (kind, said) == ("plain", "512"):
            pytest.skip("the plain index has no hashes")
        url, client = free_database(valkey_server.url)
        index = MAKERS[kind](url)
        await index.initialise()
        before = client.config_get(setting)[setting]
        client.config_set(setting, value)
        try:
            with pytest.raises(InvariantBroken, match=said):
                await index.open()
        finally:
            client.config_set(setting, before)
        await index.open()
        await index.close()
        client.flushdb()

    async def test_a_server_that_keeps_nothing_is_refused_when_it_matters(self, valkey_server: RedisServer, kind: str) -> None:
        url, client = free_database(valkey_server.url)
        strict, easy = MAKERS[kind](url, durable=True), MAKERS[kind](url)
        await strict.initialise()
        client.config_set("appendonly", "no")
        try:
            with pytest.raises(InvariantBroken, match="keeps nothing on disk"):
                await strict.open()
            await easy.open()
        finally:
            client.config_set("appendonly", "yes")
        await strict.close()
        await easy.close()
        client.flushdb()

    async def test_nobody_there(self, kind: str) -> None:
        index = MAKERS[kind](f"redis://127.0.0.1:{free_port()}/0")
        for attempt in (index.open(), index.initialise(), index.claim([claims((1, 10))]), index.memory()):
            with pytest.raises(IndexUnavailable):
                await attempt
        await index.close()

    async def test_a_restart_keeps_the_claims(self, valkey_server: RedisServer, kind: str) -> None:
        url, client = free_database(valkey_server.url)
        index = MAKERS[kind](url)
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
