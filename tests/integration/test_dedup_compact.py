"""The compact index on real servers: days move on, get sealed and leave; verdicts stay right. Also on a cluster, Redis 7, and when full."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup.compact import CompactIndex
from dedup.index import SEALED_OWNER
from dedup.sealing import SEAL, DaySealing
from dedup.shards import tag
from hourmark.errors import IndexLost, IndexUnavailable
from local.ports import HOST, free_port
from local.redis import RedisServer, find_binary, ping
from tests.dedup.compact_life import FIRST, claims, compact, owner, seal, whole_life
from tests.streams.stage import free_database

pytestmark = pytest.mark.real


@pytest.fixture
def url(valkey: str) -> Iterator[str]:
    found, client = free_database(valkey)
    client.set("taken", 1)  # by us
    yield found
    client.flushdb()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# A model of the index: a dict. ------------------------------------------------------------------------------------------------------------

batch = st.lists(st.tuples(st.integers(0, 25), st.sampled_from((0, 0, 0, -1))), min_size=1, max_size=12)
step = st.one_of(
    st.tuples(st.just("claim"), batch),
    st.tuples(st.just("claim"), batch),
    st.tuples(st.just("again"), st.integers(0, 30)),
    st.tuples(st.just("day"), st.none()),
    st.tuples(st.just("seal"), st.none()),
    st.tuples(st.just("seal some"), st.integers(1, 15)),
    st.tuples(st.just("resize"), st.integers(4, 6)),
)


class Model:
    """id → (owner, day it was claimed on). `unsure`: a day is being sealed, so its ids may be in either place, and old ones may be gone."""

    def __init__(self, index: CompactIndex) -> None:
        self.index = index
        self.known: dict[int, tuple[bytes, int]] = {}
        self.today, self.sealed, self.unsure, self.number = 0, -1, False, 0
        self.batches: list[list[tuple[int, int, int]]] = []  # (id, owner, day)

    async def claim(self, records: list[tuple[int, int, int]]) -> None:
        found = await self.index.claim([claims([(one, number)], day) for one, number, day in records])
        for position, (one, number, day) in enumerate(records):
            said = "echo" if position in found.echoes else found.get(position)
            wanted = self.verdicts(one, owner(number), day)
            assert said in wanted, (position, one, number, day, self.known.get(one), self.sealed)
            known = self.known.get(one)
            if said is None and (known is None or known[0] != owner(number)):
                self.known[one] = owner(number), max(day, self.sealed + 1)

    def verdicts(self, one: int, mine: bytes, day: int) -> list[bytes | str | None]:
        """What the index may say: None (fresh or own), another's owner, or echo."""
        if one not in self.known:
            return [None]
        theirs, since = self.known[one]
        hot = None if theirs == mine else theirs
        cold: bytes | str = "echo" if day <= self.sealed else SEALED_OWNER
        allowed = [hot] if since > self.sealed else [cold, hot] if self.unsure else [cold]
        return [*allowed, None] if since < self.keep and self.unsure else allowed

    @property
    def keep(self) -> int:
        return self.sealed - self.index.options.window_days

    async def take(self, what: str, value: Any) -> None:
        match what:
            case "claim":
                records = [(one, self.number + at, max(0, self.today + back)) for at, (one, back) in enumerate(value)]
                records = [(one, number, day) for one, number, day in records if day > self.sealed]
                self.number += len(value)
                self.batches.append(records)
                await self.claim(records)
            case "again" if self.batches:
                await self.claim(self.batches[-1 - value % len(self.batches)])
            case "day":
                self.today += 1
            case "seal" if self.today:
                await self.begin()
                await seal(self.index, self.sealed)
                self.unsure = False
                self.known = {one: known for one, known in self.known.items() if known[1] >= self.keep}
            case "seal some" if self.today:
                await self.begin()
                for number, shard in enumerate(await self.index.shards()):
                    assert shard is not None
                    await self.index.server.evaluate(SEAL, [(tag(number), x.version, 0, value, 5 * 10**9) for x in shard.layouts])
            case "resize":
                for number, shard in enumerate(await self.index.shards()):
                    if shard is not None and len(shard.layouts) < 4:
                        await self.index.turn([(number, "resize", value, shard.current.version)])

    async def begin(self) -> None:
        """Yesterday is over for all partitions."""
        if self.today - 1 > self.sealed:
            self.sealed, self.unsure = self.today - 1, True
            keep = max(0, FIRST + self.keep)
            await self.index.turn([(number, "begin", FIRST + self.sealed, keep) for number in range(self.index.options.shards)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(step, min_size=5, max_size=40))
def test_any_life_equals_a_dict(url: str, steps: list[tuple[str, Any]]) -> None:
    async def live() -> None:
        index = compact(url)
        await index.server.client.flushdb()
        await index.initialise()
        model = Model(index)
        try:
            for what, value in steps:
                await model.take(what, value)
        finally:
            await index.close()

    run(live())


# Whole lives on servers of every kind. ----------------------------------------------------------------------------------------------------


def test_resends_replays_and_sealing_over_days(url: str) -> None:
    async def live() -> None:
        index = compact(url, shards=8, ids_a_day=2_000)
        try:
            await whole_life(index, days=8, ids_a_day=2_000)
            gone = await index.claim([claims([(one, 10**9 + one) for one in range(2_000)], 7)])
            assert gone == {}, "ids of a week ago have left the window of three days"
        finally:
            await index.close()

    run(live())


def test_redis_7(tmp_path: Path) -> None:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on the PATH: the compact index is tested on Valkey only")
    port = free_port()
    child = serve(program, port, tmp_path)
    try:

        async def live() -> None:
            index = compact(f"redis://{HOST}:{port}/0")
            try:
                await whole_life(index, days=6, ids_a_day=1_000)
            finally:
                await index.close()

        run(live())
    finally:
        stop([child])


def test_a_cluster_of_three(tmp_path: Path) -> None:
    ports, buses = [free_port() for _ in range(3)], [free_port() for _ in range(3)]
    clustered = [("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
    children = [serve(find_binary(), port, tmp_path / str(port), *more) for port, more in zip(ports, clustered, strict=True)]
    nodes = [redis.Redis(HOST, port) for port in ports]
    try:
        unite(nodes, ports[0], buses[0])

        async def live() -> None:
            index = compact(f"redis://{HOST}:{ports[1]}/0", shards=8)
            try:
                await whole_life(index, days=5, ids_a_day=1_000)
                nodes[0].flushall()
                with pytest.raises(IndexLost, match="canary"):
                    await index.claim([claims([(one, one) for one in range(1_000)], 4)])
                with pytest.raises(IndexLost, match="shards of the id index have no canary"):
                    await index.open()
                with pytest.raises(IndexLost, match="claims without a canary"):
                    await index.initialise()
                await index.restore()  # what is left stays, and knows its own
                found = await index.claim([claims([(one, one) for one in range(4_000, 5_000)], 4)])
                assert found == {}
                await index.finish_restore()
                assert len(await index.claim([claims([(one, one + 1) for one in range(4_000, 5_000)], 4)])) == 1_000
            finally:
                await index.close()

        run(live())
        assert all(node.dbsize() > 20 for node in nodes), "the shards are spread over the nodes"
    finally:
        stop(children)


def serve(program: str, port: int, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    arguments = ("--bind", HOST, "--port", str(port), "--dir", str(folder), "--save", "", "--hash-max-listpack-entries", "512")
    child = subprocess.Popen([program, *arguments, *more], stdout=subprocess.DEVNULL)
    eventually(lambda: ping(HOST, port))
    return child


def unite(nodes: list[redis.Redis], port: int, bus: int) -> None:
    """One cluster of these servers, a third of the slots each."""
    for number, node in enumerate(nodes):
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 16384 // 3, (number + 1) * 16384 // 3 - 1)
        node.execute_command("CLUSTER", "MEET", HOST, port, bus)
    eventually(lambda: all(b"cluster_state:ok" in _cluster_info(node) for node in nodes))
    eventually(lambda: all(b"cluster_known_nodes:3" in _cluster_info(node) for node in nodes))


def _cluster_info(node: redis.Redis) -> bytes:
    found = node.execute_command("CLUSTER INFO")
    return "\r\n".join(f"{name}:{value}" for name, value in found.items()).encode() if isinstance(found, dict) else bytes(found)


def eventually(done: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
        child.wait(20)


# What the layout admits. ------------------------------------------------------------------------------------------------------------------


def test_false_duplicates_are_as_rare_as_theory_says(url: str) -> None:
    """With F bytes a sealed bucket of n ids calls a new id a copy with probability 1 - (1 - 2**-8F)**n. F = 3 makes it measurable."""
    sealed, asked = 60_000, 80_000

    async def live() -> int:
        index = compact(url, shards=1, ids_a_day=1, fingerprint=3)
        try:
            await index.initialise()
            assert not await index.claim([claims([(one, one) for one in range(sealed)], 0)])
            await seal(index, 0)
            return len(await index.claim([claims([(one, one) for one in range(10**6, 10**6 + asked)], 1)]))
        finally:
            await index.close()

    found = asyncio.run(live())
    buckets = 2**4
    theory = asked * (1 - (1 - 2**-24) ** (sealed / buckets))
    assert 17 < theory < 19
    # Poisson; the key is fixed. F = 2 would give 4,400, F = 4 none, unaligned hits three times as many.
    assert theory - 12 <= found <= theory + 18


def test_several_sealers_and_claims_at_once(url: str) -> None:
    """Sealing in the middle of replays and resends: four sealers without a lease between them, and claims that never stop."""

    async def live() -> None:
        index = compact(url, shards=2, ids_a_day=40_000)
        try:
            await index.initialise()
            old = [(one, one) for one in range(20_000)]
            await index.claim([claims(old, 0)])
            sealers = [DaySealing(index) for _ in range(4)]
            for sealer in sealers:
                sealer._leased = _always  # type: ignore[method-assign]  # the lease only saves work
            work = [asyncio.create_task(sealer.round(FIRST)) for sealer in sealers]
            chance, rounds = random.Random(3), 0
            while not all(task.done() for task in work) or rounds < 5:
                sample = chance.sample(old, 500)
                copies = await index.claim([claims([(one, 10**9 + other) for one, other in sample], 1)])
                assert sorted(copies) == list(range(500)), "a resend is known wherever its bucket is by now"
                again = await index.claim([claims(sample, 0)])
                assert again == {}, "a replay of the day that is being sealed is forwarded"
                rounds += 1
            found = [task.result() for task in work]
            assert sum(days.moved for days in found if days) == 20_000
            assert all(shard is not None and not shard.due for shard in await index.shards())
            assert {day for shard in await index.shards() if shard for day, _ in shard.hot} == {FIRST + 1}
        finally:
            await index.close()

    async def _always() -> bool:
        return True

    run(live())


def test_buckets_that_fill_up_are_resized_and_old_ones_still_read(url: str) -> None:
    async def live() -> None:
        first, second = compact(url, shards=2, ids_a_day=1), compact(url, shards=2, ids_a_day=1)
        try:
            await first.initialise()
            await second.open()
            await first.claim([claims([(one, one) for one in range(8_000)], 0)])
            await seal(first, -1)  # buckets made for nothing hold 250 ids each: new ids go elsewhere at once
            assert [len(shard.layouts) for shard in await first.shards() if shard] == [2, 2]
            await asyncio.gather(  # both workers, one of them with news of its own
                first.claim([claims([(one, one) for one in range(8_000, 9_000)], 0)]),
                second.claim([claims([(one, one) for one in range(9_000, 10_000)], 0)]),
            )
            for index in (first, second):
                assert len(await index.claim([claims([(one, 10**9) for one in range(10_000)], 1)])) == 10_000
                assert await index.claim([claims([(one, one) for one in range(10_000)], 0)]) == {}
            for day in range(1, 6):
                await second.claim([claims([(one, one) for one in range(10**5 * day, 10**5 * day + 8_000)], day)])
                await seal(first, day - 1)
                if day < 4:
                    assert len(await first.claim([claims([(one, 10**9) for one in range(10_000)], day)])) == 10_000
            assert [len(shard.layouts) for shard in await first.shards() if shard] == [1, 1], "the first buckets left with their last day"
        finally:
            await first.close()
            await second.close()

    run(live())


def test_a_server_that_gets_full_shortens_the_window(valkey_server: RedisServer) -> None:
    base, client = free_database(valkey_server.url)

    async def live() -> None:
        index = compact(base, shards=2, ids_a_day=20_000, window_days=10)
        try:
            await index.initialise()
            for day in range(5):
                await index.claim([claims([(one, one) for one in range(day * 20_000, (day + 1) * 20_000)], day)])
                found = await seal(index, day)
            assert (found.missing_days, found.full) == (0, False)
            client.config_set("maxmemory", found.used_bytes + 100_000)
            missing = 0
            for _ in range(3):
                found = await seal(index, 4)
                assert found.missing_days > missing, "a day less each time, and it says so"
                missing = found.missing_days
                client.config_set("maxmemory", found.used_bytes + 100_000)
            assert found.ids == 40_000
            copies = await index.claim([claims([(one, 10**9) for one in range(60_000, 60_100)], 5)])
            assert len(copies) == 100, "what is still in the window is known"
            assert (await seal(index, 4)).ids == 20_000
            client.config_set("maxmemory", 1_000_000)
            assert (await seal(index, 4)).full, "the last sealed day stays"
            with pytest.raises(IndexUnavailable, match="maxmemory"):
                await index.claim([claims([(one, one) for one in range(10**6, 10**6 + 100)], 5)])
            assert (await seal(index, 4)).full, "sealing goes on in a server that is full"
            client.config_set("maxmemory", 0)
            assert await index.claim([claims([(one, one) for one in range(10**6, 10**6 + 100)], 5)]) == {}
            assert not (await seal(index, 4)).full
        finally:
            client.config_set("maxmemory", 0)
            await index.close()

    try:
        run(live())
    finally:
        client.flushdb()
