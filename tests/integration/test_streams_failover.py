"""A replica promoted with the last claims missing: workers say them again, and no copy passes. Without that, copies do pass."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dedup.backends import open_index
from dedup.index import RECORD_BYTES, Claims, Index, Owners
from dedup.settings import DedupSettings
from hourmark.errors import IndexUnavailable
from hourmark.schemas import EventType
from local.redis import RedisServer
from tests.streams.stage import Stage, assert_exact, new_ids

pytestmark = pytest.mark.real
EVENTS = 1_500


class Pair:
    """A Valkey and its replica, which takes over under the address of the first with what it has."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.primary, self.replica = RedisServer(home / "primary"), RedisServer(home / "replica")
        self.primary.start()
        self.replica.start()
        self.replicate()

    def replicate(self) -> None:
        replica, deadline = redis.Redis.from_url(self.replica.url), time.monotonic() + 60
        replica.replicaof("127.0.0.1", self.primary.port)
        while replica.info("replication").get("master_link_status") != "up":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def break_replication(self) -> None:
        """All up to now reaches the replica, nothing after."""
        assert redis.Redis.from_url(self.primary.url).wait(1, 60_000) == 1
        redis.Redis.from_url(self.replica.url).replicaof("NO", "ONE")

    def kill_primary(self) -> None:
        self.primary.kill()

    def promote(self) -> None:
        self.replica.stop()
        self.replica = RedisServer(self._home / "replica", self.primary.port)
        self.replica.start()

    def stop(self) -> None:
        self.primary.stop()
        self.replica.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.stop()


async def answer(index: Index, claims: list[Claims]) -> Owners:
    """Of an index that waits for replicas, when they have come."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return await index.claim(claims)
        except IndexUnavailable:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("backend", ["plain", "compact"])
async def test_claims_may_wait_for_replicas(pair: Pair, backend: str) -> None:
    settings = DedupSettings(redis_url=pair.primary.url, backend=backend, wait_replicas=1, profile="local", redis_timeout=1.0)
    index = open_index(settings)
    claims = [Claims(0, bytes(RECORD_BYTES))]
    await index.initialise()
    assert await answer(index, claims) == {}
    pair.break_replication()
    with pytest.raises(IndexUnavailable, match="0 replicas"):
        await index.claim(claims)
    pair.replicate()
    assert await answer(index, claims) == {}
    await index.close()


@pytest.fixture
def stage(kafka: str, pair: Pair, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka, pair.primary.url, tmp_path)
    yield made
    made.close()


def fail_over(stage: Stage, pair: Pair, thing: EventType) -> list[bytes]:
    """Events before and after the replica was cut off; copies of the latter arrive while the index is away. Returns the ids of all."""
    early, late, last = new_ids(EVENTS), new_ids(EVENTS), new_ids(100)
    stage.send(thing, early)
    stage.flush()
    stage.wait_clean(thing, EVENTS)
    pair.break_replication()
    stage.send(thing, late)
    stage.flush()
    stage.wait_clean(thing, EVENTS * 2)
    pair.kill_primary()
    stage.send(thing, late, partition=0)  # also by a worker that did not claim the first ones
    stage.send(thing, last)
    stage.flush()
    pair.promote()
    stage.wait_clean(thing, EVENTS * 2 + 100)
    return [*early, *late, *last]


def test_the_last_claims_are_said_again(stage: Stage, pair: Pair) -> None:
    thing = stage.declare(partitions=2)
    workers = [stage.worker(HOURMARK_DEDUP_REASSERT_SECONDS="300") for _ in range(2)]
    ids = fail_over(stage, pair, thing)
    parts = stage.wait_closed(thing)
    assert_exact(parts, ids)
    assert sum(tally.duplicates for part in parts for barrier in part.barriers() for tally in barrier.tallies.values()) == EVENTS
    said = "".join(worker.said() for worker in workers)
    assert '"doubled": 0' in said
    assert [worker.terminate() for worker in workers] == [0, 0]


def test_without_saying_them_again_exactly_those_are_doubled(stage: Stage, pair: Pair) -> None:
    """The test above can fail."""
    thing = stage.declare(partitions=2)
    stage.worker(HOURMARK_DEDUP_REASSERT_SECONDS="0")
    ids = fail_over(stage, pair, thing)
    stage.wait_clean(thing, len(ids) + EVENTS)
    found = Counter(event.id for part in stage.clean(thing) for event in part.after_rule())
    assert found.keys() == set(ids), "nothing is lost"
    assert sum(count - 1 for count in found.values()) == EVENTS
