"""The id index away, emptied, or not ours; offsets that are gone. A worker holds, or refuses with words; it never guesses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec

from hourmark.errors import UnknownEventType
from hourmark.event import FLAG_UNCHECKED
from hourmark.runtime import EXIT_BROKEN
from hourmark.schemas import EventType
from hourmark.settings import PlatformSettings
from hourmark.topics import raw_topic
from local.redis import RedisServer
from streams.loss import accept_loss
from streams.reshard import WorkersRun
from tests.streams.load import Load
from tests.streams.stage import Stage, assert_exact, new_ids

pytestmark = pytest.mark.real


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stage(kafka: str, own_valkey: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka, own_valkey.url, tmp_path)
    yield made
    made.close()


def test_an_index_that_goes_away_is_waited_for(stage: Stage, own_valkey: RedisServer) -> None:
    thing = stage.declare(partitions=2)
    worker = stage.worker()
    load = Load(stage, thing)
    stage.wait_clean(thing, 2_000)
    own_valkey.kill()
    stage.until(lambda: "index is away" in worker.said(), 20, "the worker says so")
    time.sleep(3)
    own_valkey.start()
    stage.until(lambda: "index is back" in worker.said(), 20, "the worker goes on")
    load.stop()
    load.check()
    assert worker.said().count("index is away") == 1, "one warning per episode"
    assert worker.terminate() == 0


def test_an_open_type_goes_on_unchecked_while_the_index_is_away(stage: Stage, own_valkey: RedisServer) -> None:
    guarded, easy = stage.declare("guarded"), stage.declare("easy", dedup="open")
    worker = stage.worker()
    ids = new_ids(200)
    stage.send(guarded, ids)
    stage.send(easy, ids)
    stage.flush()
    stage.wait_clean(guarded, 200)
    stage.wait_clean(easy, 200)
    own_valkey.kill()
    more = new_ids(200)
    for part in range(0, 200, 20):
        stage.send(guarded, more[part : part + 20])
        stage.send(easy, more[part : part + 20])
        stage.flush()
    parts = stage.wait_clean(easy, 400)
    assert_exact(parts, [*ids, *more])
    assert sum(event.stamp.flags & FLAG_UNCHECKED == FLAG_UNCHECKED for part in parts for event in part.after_rule()) == 200
    assert sum(len(part.after_rule()) for part in stage.clean(guarded)) == 200, "a closed type is held"
    own_valkey.start()
    assert_exact(stage.wait_clean(guarded, 400), [*ids, *more])
    assert worker.terminate() == 0


def test_an_emptied_index_is_refused(stage: Stage) -> None:
    thing = stage.declare()
    worker = stage.worker()
    ids = new_ids(500)
    stage.send(thing, ids)
    stage.flush()
    stage.wait_clean(thing, 500)
    time.sleep(1)  # a commit
    stage.redis.flushdb()
    stage.send(thing, ids)
    stage.flush()
    assert worker.wait(60) == EXIT_BROKEN
    assert "index_lost" in worker.said()
    again = stage.worker()
    assert again.wait(60) == EXIT_BROKEN
    assert "lost its memory" in again.said()
    assert_exact(stage.clean(thing), ids)


def test_a_worker_without_events_notices_too(stage: Stage) -> None:
    thing = stage.declare()
    worker = stage.worker()
    stage.send(thing, new_ids(10))
    stage.flush()
    stage.wait_clean(thing, 10)
    stage.redis.flushdb()
    assert worker.wait(60) == EXIT_BROKEN
    assert "index_lost" in worker.said()


def test_claims_without_canary_are_refused_even_without_commits(stage: Stage) -> None:
    stage.redis.set(b"d" + bytes(16), b"owner   ")
    stage.declare()
    assert stage.worker().wait(20) == EXIT_BROKEN
    assert "claims without a canary" in stage.workers[0].said()


def test_a_log_whose_beginning_is_gone_is_refused(stage: Stage) -> None:
    thing = stage.declare(partitions=1)
    stage.send(thing, new_ids(100))
    stage.flush()
    where = TopicPartition(raw_topic(thing.event), 0, 40)
    for future in stage.admin.delete_records([where]).values():
        future.result()
    assert stage.worker().wait(20) == EXIT_BROKEN
    assert "offset_lost" in stage.workers[0].said()


def test_retention_that_overtook_the_worker_is_refused(stage: Stage) -> None:
    thing = stage.declare(partitions=1)
    worker = stage.worker()
    stage.send(thing, new_ids(100))
    stage.flush()
    stage.wait_clean(thing, 100)
    assert worker.terminate() == 0
    stage.send(thing, new_ids(100))
    stage.flush()
    topic = TopicPartition(raw_topic(thing.event), 0)
    end = stage.admin.list_offsets({topic: OffsetSpec.latest()})[topic].result().offset
    for future in stage.admin.delete_records([TopicPartition(topic.topic, 0, end)]).values():
        future.result()
    again = stage.worker()
    assert again.wait(60) == EXIT_BROKEN
    assert "events that were never read" in again.said()
    _go_on_without_them(stage, thing, end)


def _go_on_without_them(stage: Stage, thing: EventType, end: int) -> None:
    """What is gone is named first, given up only on demand; later events flow, and the books of their interval do not balance."""
    settings, base = PlatformSettings(kafka=stage.kafka, profile="local"), stage.env()["HOURMARK_STREAMS_APP_ID"]
    until = time.monotonic() + 60
    while True:  # the group still knows the worker that ended
        try:
            named = accept_loss(settings, base, thing.event, dry=True)
            break
        except WorkersRun:
            assert time.monotonic() < until
            time.sleep(0.5)
    assert [gap.until for gap in named] == [end]
    with pytest.raises(UnknownEventType, match="ever read"):
        accept_loss(settings, base, thing.event + "s")
    assert accept_loss(settings, base, thing.event) == named
    assert accept_loss(settings, base, thing.event) == []
    stage.worker()
    stage.send(thing, new_ids(50))
    stage.flush()
    stage.wait_clean(thing, 150)

    def said() -> bool:
        return not all(barrier.balanced() for part in stage.clean(thing) for barrier in part.barriers())

    stage.until(said, 60, "a barrier that says so")
    assert sum(len(part.after_rule()) for part in stage.clean(thing)) == 150
