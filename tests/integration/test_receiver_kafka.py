"""The receiver on real Kafka: what it answers `stored` is there, under the coordinates it named, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import fastavro
import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import receiver.publisher as publishing
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.rejects import read_reject
from hourmark.schemas import Entry, WireSchema, WriteKey, encode_entry, entry_key, token_digest
from hourmark.topics import (
    CONTROL,
    NODES,
    PARKED,
    PLATFORM_PARTITIONS,
    REJECTED,
    event_topic_config,
    partition_of,
    platform_topic_config,
    raw_topic,
)
from local.kafka import KafkaServer
from receiver.app import Receiver
from receiver.delivery import Record
from receiver.publisher import KafkaPublisher
from receiver.settings import Settings
from tests.receiver.conftest import event, request
from tests.receiver.fakes import PLAYED, declared
from tests.receiver.publisher_suite import SUITE

pytestmark = pytest.mark.real

PARTITIONS = 3


class Declared(NamedTuple):
    event: str
    token: str
    avro: dict[str, Any]


def declare(kafka: str) -> Declared:
    """A type and a key of this test's own, on the control topic as the registry would write them."""
    name, token = f"t{uuid.uuid4().hex[:10]}.thing", uuid.uuid4().hex
    platform = [
        TopicSpec(topic, PLATFORM_PARTITIONS[topic], platform_topic_config(topic, 1)) for topic in (CONTROL, NODES, REJECTED, PARKED)
    ]
    ensure_topics(
        AdminClient({"bootstrap.servers": kafka}), [*platform, TopicSpec(raw_topic(name), PARTITIONS, event_topic_config(3_600_000, 1))]
    )
    entries: list[Entry] = declared(name, uuid.uuid4().int % 2**30, PLAYED, partitions=PARTITIONS)
    schema = entries[0]
    assert isinstance(schema, WireSchema)
    producer = Producer({"bootstrap.servers": kafka})
    for entry in [*entries, WriteKey(revision=1, name=token, token_sha256=token_digest(token))]:
        producer.produce(CONTROL, encode_entry(entry), entry_key(entry))
    assert producer.flush(30) == 0
    return Declared(name, token, schema.avro)


def read_all(kafka: str, topic: str, partitions: int = PARTITIONS) -> dict[tuple[int, int], Any]:
    """Every record of a topic by (partition, offset)."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    found: dict[tuple[int, int], Any] = {}
    wanted = 0
    for partition in range(partitions):
        wanted += consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    while len(found) < wanted:
        for message in consumer.consume(min(1000, wanted - len(found)), 1.0):
            assert message.error() is None
            found[message.partition(), message.offset()] = message
    consumer.close()
    return found


def settings_for(kafka: str, home: Path, **facts: Any) -> Settings:
    return Settings(
        kafka=kafka, listen="127.0.0.1:0", registry_url="http://127.0.0.1:9", home=home, node=f"r-{uuid.uuid4().hex[:8]}", **facts
    )


async def until(condition: Any, what: str, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.05)


async def test_of_a_batch_that_is_too_large_only_what_is_too_large_by_itself_is_given_up(kafka: str, tmp_path: Path) -> None:
    declare(kafka)  # the platform's topics
    topic = f"t{uuid.uuid4().hex[:10]}.tight"
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), [TopicSpec(topic, 1, {"max.message.bytes": "20000"})])
    publisher = KafkaPublisher(settings_for(kafka, tmp_path, linger_ms=200))
    publisher.start()
    small, large = os.urandom(2000), os.urandom(30_000)
    records: list[Record] = [(topic, small, b"%d" % n, 0, [("h", b"x")]) for n in range(30)]
    records.insert(7, (topic, large, b"large", 0, None))
    delivery = await asyncio.wait_for(publisher.publish(records), 60)
    after = await asyncio.wait_for(publisher.publish([(topic, small, b"after", 0, None)]), 60)
    await publisher.close(10)
    assert (delivery.oversize, delivery.failure, publisher.broken) == ({7}, None, None)
    assert after.offsets == [30]
    kept = read_all(kafka, topic, 1)
    assert {message.key() for message in kept.values()} == {record[2] for record in records if record[2] != b"large"} | {b"after"}
    assert kept[0, 0].headers() == [("h", b"x")]


@pytest.fixture
def young_kafka(tmp_path: Path) -> Iterator[str]:
    """A broker without any topic."""
    server = KafkaServer(tmp_path / "young", heap_mb=256)
    server.start()
    yield server.bootstrap
    server.stop()


async def test_a_producer_that_asked_before_the_topics_were_made_hears_of_them(
    young_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself librdkafka may not: seen on a loaded machine at a cold start; here it is forbidden to ask a second time."""
    config = publishing._config
    monkeypatch.setattr(publishing, "_config", lambda *known: config(*known) | {"topic.metadata.refresh.interval.ms": -1})
    monkeypatch.setattr(publishing, "_DEAF_S", 1.0)
    publisher = KafkaPublisher(settings_for(young_kafka, tmp_path))
    first = publisher._producer
    publisher.start()
    await until(lambda: publisher._producer is not first, "the producer to be made anew")
    assert publisher.not_ready() is not None
    ensure_topics(AdminClient({"bootstrap.servers": young_kafka}), [TopicSpec(NODES, 1, platform_topic_config(NODES, 1))])
    await until(lambda: publisher.not_ready() is None, "an acknowledged test record")
    last = publisher._producer
    await asyncio.sleep(2.0)
    assert publisher._producer is last  # one that works stays
    await publisher.close(10)


class Client:
    """Sends until every event has a final verdict, with the same ids, as a client library would."""

    def __init__(self, url: str, known: Declared) -> None:
        self.url, self.known = url + "/v1/events", known
        self.stored: dict[str, tuple[int, int]] = {}
        self.answers: Counter[str] = Counter()

    async def send(self, session: aiohttp.ClientSession, events: list[dict[str, Any]]) -> None:
        headers = {"Authorization": f"Bearer {self.known.token}", "Content-Type": "application/json"}
        waiting = {one["id"]: one for one in events}
        while waiting:
            try:
                async with session.post(self.url, data=request(*waiting.values()), headers=headers) as answer:
                    body = msgspec.json.decode(await answer.read())
                    self.answers[str(answer.status)] += 1
            except (aiohttp.ClientError, OSError):
                self.answers["broken off"] += 1
                await asyncio.sleep(0.05)
                continue
            if answer.status != 200:
                assert answer.status == 503, body
                await asyncio.sleep(0.2)
                continue
            for event_id, verdict in body["results"].items():
                self.answers[verdict["verdict"]] += 1
                assert verdict["verdict"] in ("stored", "retry"), verdict
                if verdict["verdict"] == "stored":
                    self.stored[event_id] = (verdict["partition"], verdict["offset"])
                    del waiting[event_id]

    def events(self, count: int) -> list[dict[str, Any]]:
        return [event(type=self.known.event) for _ in range(count)]

    def check(self, kafka: str, sent: int) -> None:
        """Nothing lost, every answer true; the only doubles are of one id, and only where a reply was missing."""
        log = read_all(kafka, raw_topic(self.known.event))
        ids = Counter(str(uuid.UUID(bytes=message.value()[5:21])) for message in log.values())
        assert len(self.stored) == sent
        assert ids.keys() == self.stored.keys()
        for event_id, coordinates in self.stored.items():
            assert str(uuid.UUID(bytes=log[coordinates].value()[5:21])) == event_id


@pytest.fixture
async def receiver(kafka: str, tmp_path: Path) -> AsyncIterator[tuple[Receiver, Declared]]:
    known = declare(kafka)
    async with Receiver(settings_for(kafka, tmp_path)) as running:
        await until(lambda: running.not_ready() is None and known.event in running.tail.snapshot.types, "ready")
        yield running, known


async def test_what_is_answered_is_what_is_there(kafka: str, receiver: tuple[Receiver, Declared]) -> None:
    running, known = receiver
    good = event(
        type=known.event, payload={"track": "zoë", "ms_played": 5, "device": {"tags": [1, 2]}, "seen_at": "2026-03-01T07:00:00.123Z"}
    )
    bad = event(type=known.event, payload={"track": 5})
    strange = event(type=f"{known.event}.unknown", payload={"a": 1})
    headers = {"Authorization": f"Bearer {known.token}", "Content-Type": "application/json"}
    body = request(good, bad, strange)
    async with aiohttp.ClientSession() as session, session.post(running.url + "/v1/events", data=body, headers=headers) as answer:
        assert answer.status == 200
        results = (await answer.json())["results"]
    assert [one["verdict"] for one in results.values()] == ["stored", "rejected", "parked"]
    stored, parked = results[good["id"]], results[strange["id"]]
    assert stored["partition"] == partition_of(uuid.UUID(good["id"]).bytes, PARTITIONS)
    message = read_all(kafka, raw_topic(known.event))[stored["partition"], stored["offset"]]
    record: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), known.avro, None)
    assert (record["track"], record["ms_played"], record["rank"], record["device"]) == ("zoë", 5, 7, {"tags": [1, 2]})
    assert (record["_sdk"], record["_app"], record["_install_id"], record["_sequence"]) == ("test", "web", "i1", 12)
    assert message.key() == uuid.UUID(good["id"]).bytes
    assert read_all(kafka, PARKED, 4)[parked["partition"], parked["offset"]].key() == uuid.UUID(strange["id"]).bytes
    rejects = [(read_reject(one.headers()), one.value()) for one in read_all(kafka, REJECTED, 4).values() if one.headers()]
    found = [(reject, value) for reject, value in rejects if reject is not None and reject.event_id == bad["id"]]
    assert [(reject.code, reject.path, value) for reject, value in found] == [
        ("schema_mismatch", "/payload/track", msgspec.json.encode(bad))
    ]


@pytest.mark.parametrize("behaviour", SUITE)
async def test_the_publisher_behaves(kafka: str, tmp_path: Path, behaviour: Any) -> None:
    known = declare(kafka)
    publisher = KafkaPublisher(settings_for(kafka, tmp_path))
    publisher.start()
    await behaviour(publisher, raw_topic(known.event))
    await publisher.close(5.0)


async def test_kafka_killed_and_restarted_under_load(kafka_server: KafkaServer, tmp_path: Path) -> None:
    kafka = kafka_server.bootstrap
    known = declare(kafka)
    settings = settings_for(kafka, tmp_path, broker_down_s=1.0, delivery_s=5.0)
    async with Receiver(settings) as running, aiohttp.ClientSession() as session:
        await until(lambda: running.not_ready() is None and known.event in running.tail.snapshot.types, "ready")
        client = Client(running.url, known)
        sent = 0
        going = True

        async def flow() -> None:
            nonlocal sent
            while going:
                events = client.events(20)
                sent += len(events)
                await client.send(session, events)

        flows = [asyncio.ensure_future(flow()) for _ in range(4)]
        await until(lambda: len(client.stored) > 500, "load")
        await asyncio.to_thread(kafka_server.kill)
        await until(lambda: client.answers["503"] > 0, "refusals")
        assert (running.not_ready() or "").startswith("Kafka does not answer")
        await asyncio.to_thread(kafka_server.start)
        before = len(client.stored)
        await until(lambda: len(client.stored) > before + 500, "recovery")
        assert running.not_ready() is None
        going = False
        await asyncio.wait_for(asyncio.gather(*flows), 60)
        assert running.intake.budget.total == 0
    await asyncio.to_thread(client.check, kafka, sent)


@pytest.fixture
def processes(kafka: str, tmp_path: Path) -> Iterator[tuple[list[subprocess.Popen[bytes]], str, Declared]]:
    """Two receivers on one port."""
    known = declare(kafka)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")} | {
        "HOURMARK_KAFKA": kafka,
        "HOURMARK_HOME": str(tmp_path),
        "HOURMARK_REGISTRY_URL": "http://127.0.0.1:9",
        "HOURMARK_RECEIVER_LISTEN": address,
    }
    started = [subprocess.Popen([sys.executable, "-m", "receiver"], env=environ, stderr=subprocess.PIPE) for _ in range(2)]
    yield started, f"http://{address}", known
    for process in started:
        process.kill()
        process.communicate()


async def test_two_processes_share_a_port_and_one_leaves(processes: Any, kafka: str) -> None:
    started, url, known = processes
    client = Client(url, known)
    sent = 0
    going = True

    async def ready_connections() -> int:
        count = 0
        for _ in range(20):
            try:
                async with aiohttp.ClientSession() as session, session.get(url + "/readyz") as answer:
                    count += answer.status == 200
            except aiohttp.ClientError:
                pass
        return count

    async with asyncio.timeout(60):
        while await ready_connections() < 20 or any(process.poll() is not None for process in started):  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.1)

    async def flow() -> None:
        nonlocal sent
        while going:
            events = client.events(20)
            sent += len(events)
            async with aiohttp.ClientSession() as session:  # a new connection each time: the kernel spreads them over both
                await client.send(session, events)

    flows = [asyncio.ensure_future(flow()) for _ in range(4)]
    await until(lambda: len(client.stored) > 500, "load")
    started[0].send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(asyncio.to_thread(started[0].wait), 20) == 0
    before = len(client.stored)
    await until(lambda: len(client.stored) > before + 500, "the other one")
    going = False
    await asyncio.wait_for(asyncio.gather(*flows), 60)
    started[1].send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(asyncio.to_thread(started[1].wait), 20) == 0
    assert client.answers["503"] == 0
    assert client.answers["retry"] == 0
    await asyncio.to_thread(client.check, kafka, sent)
