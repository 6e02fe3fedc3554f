"""Parked events on real Kafka: parked over HTTP by several SDKs, replayed by whichever receiver owns them, killed on the way or not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from hourmark.crashpoints import CRASH_AT
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.parked import Replayed, parked_partition
from hourmark.rejects import Reject, read_reject
from hourmark.schemas import encode_entry, entry_key
from hourmark.topics import (
    CONTROL,
    PARKED,
    PLATFORM_PARTITIONS,
    REJECTED,
    REPLAYS,
    event_topic_config,
    platform_topic_config,
    raw_topic,
)
from local.kafka import KafkaServer
from receiver.app import Receiver
from tests.integration.test_receiver_kafka import Declared, declare, read_all, settings_for, until
from tests.receiver.conftest import event, request
from tests.receiver.fakes import PLAYED, declared

pytestmark = pytest.mark.real


class Late(NamedTuple):
    """An event type of this test's own that nobody has declared yet, and a type with a write key that somebody has."""

    name: str
    known: Declared
    kafka: str

    def declare(self, partitions: int = 1, schema_id: int | None = None) -> None:
        wanted = [TopicSpec(raw_topic(self.name), partitions, event_topic_config(3_600_000, 1))]
        ensure_topics(AdminClient({"bootstrap.servers": self.kafka}), wanted)
        producer = Producer({"bootstrap.servers": self.kafka})
        for entry in declared(self.name, schema_id or uuid.uuid4().int % 2**30, PLAYED, partitions=partitions):
            producer.produce(CONTROL, encode_entry(entry), entry_key(entry))
        assert producer.flush(30) == 0

    def claim_settled(self, upto: int) -> None:
        one = Replayed(type=self.name, partition=parked_partition(self.name), next=upto)
        producer = Producer({"bootstrap.servers": self.kafka})
        producer.produce(REPLAYS, msgspec.json.encode(one), one.key)
        assert producer.flush(30) == 0

    async def send(self, url: str, events: list[dict[str, Any]], **envelope: Any) -> Counter[str]:
        headers = {"Authorization": f"Bearer {self.known.token}", "Content-Type": "application/json"}
        body = request(*events, **envelope)
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/events", data=body, headers=headers) as answer:
            return Counter(verdict["verdict"] for verdict in (await answer.json())["results"].values())

    def raw(self, partitions: int = 1) -> list[str]:
        """Ids on the raw topic, in order within a partition."""
        found = read_all(self.kafka, raw_topic(self.name), partitions)
        return [str(uuid.UUID(bytes=found[place].value()[5:21])) for place in sorted(found)]

    def rejects(self) -> list[Reject]:
        found = [read_reject(message.headers()) for message in read_all(self.kafka, REJECTED, 4).values()]
        return [reject for reject in found if reject is not None and reject.event_type == self.name]


@pytest.fixture
def late(kafka_server: KafkaServer) -> Late:
    """On a broker of our own: receivers of other tests would take part in the replays."""
    kafka = kafka_server.bootstrap
    specs = [TopicSpec(topic, count, platform_topic_config(topic, 1)) for topic, count in PLATFORM_PARTITIONS.items()]
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), specs)
    return Late(f"t{uuid.uuid4().hex[:10]}.late", declare(kafka), kafka)


async def test_two_receivers_replay_what_several_sdks_sent(late: Late, tmp_path: Path) -> None:
    late.claim_settled(upto=1 << 40)  # said of a topic `parked` that is no more
    events = [event(type=late.name) for _ in range(300)]
    misfits = [event(type=late.name, payload={"track": 5}) for _ in range(3)]
    async with Receiver(settings_for(late.kafka, tmp_path)) as one, Receiver(settings_for(late.kafka, tmp_path)) as two:
        await until(lambda: all(r.not_ready() is None and late.known.event in r.tail.snapshot.types for r in (one, two)), "ready")
        await until(lambda: [owned(r) for r in (one, two)] == [2, 2], "each to own its half")
        for number in range(3):
            batch = [*events[number * 100 : number * 100 + 100], misfits[number], events[0]]  # and a copy of the very first
            answers = await late.send((one.url, two.url)[number % 2], batch, sdk={"name": f"sdk{number}", "version": "1"})
            assert answers.keys() == {"parked"}
        late.declare()
        await until(lambda: len(late.raw()) >= 302 and len(late.rejects()) == 3, "the replay")
        late.declare(schema_id=uuid.uuid4().int % 2**30)  # another version of it
        fresh = event(type=late.name)
        await until(lambda: late.name in two.tail.snapshot.types, "the declaration everywhere")
        await until_stored(late, two.url, fresh)
    ids = late.raw()
    first = list(dict.fromkeys(ids))
    assert [found for found in first if found != fresh["id"]] == [one["id"] for one in events]  # in the order of arrival
    assert Counter(ids) == Counter([*first, events[0]["id"], events[0]["id"]])  # dedup's business, exactly as they came
    rejects = late.rejects()
    parked = {(place, message.key()) for place, message in read_all(late.kafka, PARKED, 4).items()}
    assert sorted((r.event_id, r.sdk) for r in rejects) == sorted((one["id"], f"sdk{n}") for n, one in enumerate(misfits))
    assert {(r.code, r.path, r.topic) for r in rejects} == {("schema_mismatch", "/payload/track", PARKED)}
    assert all(((r.partition, r.offset), uuid.UUID(r.event_id).bytes) in parked for r in rejects)


def owned(running: Receiver) -> int:
    assert running.replay is not None
    return len(running.replay._epochs)


async def until_stored(late: Late, url: str, one: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        while "stored" not in await late.send(url, [one]):  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.1)


@pytest.fixture
def receiver_process(late: Late, tmp_path: Path) -> Iterator[Any]:
    """Starts receivers as processes of their own; all are gone in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**facts: str) -> subprocess.Popen[bytes]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")} | {
            "HOURMARK_KAFKA": late.kafka,
            "HOURMARK_HOME": str(tmp_path),
            "HOURMARK_PROFILE": "local",
            "HOURMARK_REGISTRY_URL": "http://127.0.0.1:9",
            "HOURMARK_RECEIVER_LISTEN": "127.0.0.1:0",
            **facts,
        }
        log = (tmp_path / f"receiver-{len(started)}.log").open("wb")
        started.append(subprocess.Popen([sys.executable, "-m", "receiver"], env=environ, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_killed_in_the_middle_of_a_replay(late: Late, receiver_process: Any, tmp_path: Path) -> None:
    events = [event(type=late.name) for _ in range(2500)]
    misfit = event(type=late.name, payload={})
    async with Receiver(settings_for(late.kafka, tmp_path, replay_events_s=0)) as front:
        await until(lambda: front.not_ready() is None and late.known.event in front.tail.snapshot.types, "ready")
        for start in range(0, 2500, 500):
            await late.send(front.url, events[start : start + 500])
        await late.send(front.url, [misfit])
    late.declare(partitions=2)
    dying = receiver_process(**{CRASH_AT: "replay.acknowledged:4"})
    assert await asyncio.wait_for(asyncio.to_thread(dying.wait), 60) == -9
    before = Counter(late.raw(2))
    assert 0 < len(before) < 2500
    receiver_process()
    await until(lambda: len(late.rejects()) > 0, "the rest")  # it was the last one
    await until(lambda: len(set(late.raw(2))) == 2500, "all of them")
    ids = Counter(late.raw(2))
    assert ids.keys() == {one["id"] for one in events}
    assert sum(ids.values()) <= 2500 + 250  # one step is repeated
    assert [reject.event_id for reject in late.rejects()] == [misfit["id"]]
