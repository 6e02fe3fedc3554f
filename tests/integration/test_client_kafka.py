"""The client's Kafka transport and reader on a real broker, with a scripted registry."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from hourmark.event import STAMP, CleanBarrier, clean_barrier_headers, raw_barrier_headers
from hourmark_client import AsyncClient, Client, Undelivered, Verdict
from hourmark_client.kafka import CleanReader, KafkaTransport, partition_of
from tests.client.fakes import until
from tests.client.schemas import wire_schema
from tests.client.servers import ScriptedRegistry, serving
from tests.client.test_readme import BLOCKS

pytestmark = pytest.mark.real

FIELDS: list[dict[str, Any]] = [{"name": "n", "type": "long"}, {"name": "who", "type": ["null", "string"], "default": None}]
PARTITIONS = 3


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    scripted = ScriptedRegistry()
    with serving(scripted):
        yield scripted


@pytest.fixture
def event(kafka: str) -> str:
    """An event type of our own, its topics made."""
    name = f"t{secrets.token_hex(4)}.thing"
    topics = [NewTopic(f"{side}.{name}", num_partitions=PARTITIONS, replication_factor=1) for side in ("raw", "clean")]
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics(topics).values():
        made.result(30)
    return name


def declare(registry: ScriptedRegistry, event: str, **more: Any) -> dict[str, Any]:
    schema = wire_schema(event, FIELDS)
    registry.declare(event, 77, schema, **{"partitions": PARTITIONS, **more})
    return schema


def read_raw(kafka: str, event: str, expected: int, partitions: int = PARTITIONS) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": secrets.token_hex(4), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(f"raw.{event}", number, 0) for number in range(partitions)])
    messages: list[Any] = []
    deadline = time.monotonic() + 30
    while len(messages) < expected and time.monotonic() < deadline:
        messages += [message for message in consumer.consume(1000, 0.2) if not message.error() and message.value() is not None]
    consumer.close()
    return messages


def test_events_arrive_as_a_receiver_would_write_them(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    schema = fastavro.parse_schema(declare(registry, event))
    told: list[Verdict] = []
    with Client.kafka(kafka, registry=registry.url, app="job", install="box", on_verdict=told.append) as client:
        ids = [client.send(event, {"n": n, "who": f"w{n}"}) for n in range(3000)]
        assert client.flush(60)
    assert sorted(v.event_id for v in told) == sorted(ids)
    assert {(v.verdict, v.attempt) for v in told} == {("stored", 1)}
    coordinates = {(v.partition, v.offset): v.event_id for v in told}
    messages = read_raw(kafka, event, 3000)
    assert len(messages) == len(coordinates) == 3000
    for message in messages:
        record: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema, None)
        event_id = str(UUID(bytes=record["_event_id"]))
        assert message.value()[:5] == b"\x00\x00\x00\x00\x4d"
        assert message.key() == message.value()[5:21] == record["_event_id"]
        assert message.partition() == partition_of(message.key(), PARTITIONS)
        assert coordinates[message.partition(), message.offset()] == event_id
        assert ids[record["n"]] == event_id
        assert (record["_sequence"], record["_app"], record["_install_id"]) == (record["n"] + 1, "job", "box")


def test_a_declared_key_keeps_its_order(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    schema = fastavro.parse_schema(declare(registry, event, key="who"))
    with Client.kafka(kafka, registry=registry.url, app="job") as client:
        for n in range(300):
            client.send(event, {"n": n, "who": f"w{n % 5}"})
    seen: dict[bytes, list[int]] = {}
    for message in read_raw(kafka, event, 300):
        record: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema, None)
        seen.setdefault(message.key(), []).append(record["n"])
        assert message.partition() == partition_of(message.key(), PARTITIONS)
    assert seen == {f"w{k}".encode(): list(range(k, 300, 5)) for k in range(5)}


def test_refusals_come_by_callback(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    declare(registry, event)
    blocked, bound, unknown = (f"t{secrets.token_hex(4)}.thing" for _ in range(3))
    declare(registry, blocked, lifecycle="blocked")
    declare(registry, bound, sdks=["hourmark-java"])
    told: list[Verdict] = []
    with Client(KafkaTransport(kafka, registry=registry.url, grace=0.2), app="job", on_verdict=told.append) as client:
        good = client.send(event, {"n": 1})
        wrong = client.send(event, {"n": "x"})
        more = client.send(event, {"n": 1, "more": 2})
        others = [client.send(name, {"n": 1}) for name in (blocked, bound, unknown)]
        assert client.flush(60)
    verdicts = {v.event_id: (v.verdict, v.code, v.path) for v in told}
    assert verdicts[good] == ("stored", None, None)
    assert verdicts[wrong] == ("rejected", "schema_mismatch", "/payload/n")
    assert verdicts[more] == ("rejected", "schema_mismatch", "/payload/more")
    assert [verdicts[i][:2] for i in others] == [("rejected", c) for c in ("blocked_event_type", "sdk_not_bound", "unknown_event_type")]


def test_events_wait_for_a_declaration_and_for_the_registry(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    registry.down = True
    with Client.kafka(kafka, registry=registry.url, app="job") as client:
        for n in range(50):
            client.send(event, {"n": n})
        until(lambda: len(registry.asked) > 1)
        assert client.stats().pending == 50
        registry.down = False
        declare(registry, event)
        assert client.flush(60)
        assert client.stats().stored == 50
    assert len(read_raw(kafka, event, 50)) == 50


def test_a_schema_newer_than_ours_is_fetched_before_anything_is_refused(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    declare(registry, event)
    with Client.kafka(kafka, registry=registry.url, app="job") as client:
        client.send(event, {"n": 1})
        assert client.flush(60)
        registry.declare(
            event, 78, wire_schema(event, [*FIELDS, {"name": "new", "type": ["null", "long"], "default": None}]), partitions=PARTITIONS
        )
        time.sleep(1.1)  # a route checked within the last second is believed
        client.send(event, {"n": 2, "new": 3})
        assert client.flush(60)
        assert client.stats().stored == 2
    assert sorted(message.value()[4] for message in read_raw(kafka, event, 2)) == [77, 78]


def test_no_broker_no_loss_no_hang(registry: ScriptedRegistry) -> None:
    declare(registry, "a.thing")
    told: list[Verdict] = []
    client = Client.kafka("127.0.0.1:1", registry=registry.url, app="job", on_verdict=told.append)
    client.send("a.thing", {"n": 1})
    assert not client.flush(1.0)
    with pytest.raises(Undelivered):
        client.close(0.2)
    assert [v.verdict for v in told] == ["undelivered"]


def test_a_forked_child_has_a_producer_of_its_own(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    schema = fastavro.parse_schema(declare(registry, event))
    client = Client.kafka(kafka, registry=registry.url, app="job", install="box")
    for n in range(100):
        client.send(event, {"n": n})
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            for n in range(100, 110):
                client.send(event, {"n": n})
            client.close(60)
            code = 0
        os._exit(code)
    _, code = os.waitpid(child, 0)
    assert code == 0
    client.close(60)
    records: list[Any] = [fastavro.schemaless_reader(BytesIO(m.value()[5:]), schema, None) for m in read_raw(kafka, event, 110)]
    assert sorted(record["n"] for record in records) == list(range(110))
    by_install: dict[str, list[int]] = {}
    for record in records:
        by_install.setdefault(record["_install_id"], []).append(record["_sequence"])
    assert {name.partition("~")[1]: sorted(numbers) for name, numbers in by_install.items()} == {
        "": list(range(1, 101)),
        "~": list(range(1, 11)),
    }


async def test_asyncio_over_kafka(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    declare(registry, event)
    async with AsyncClient.kafka(kafka, registry=registry.url, app="job") as client:
        future = await client.submit(event, {"n": 1})
        verdict = await future
    assert verdict.verdict == "stored"


def test_the_reader_skips_barriers_and_repeats_and_remembers_where_it_was(kafka: str, registry: ScriptedRegistry, event: str) -> None:
    declare(registry, event)
    with Client.kafka(kafka, registry=registry.url, app="job") as client:
        ids = [client.send(event, {"n": n}) for n in range(60)]
    raw = sorted(read_raw(kafka, event, 60), key=lambda message: (message.partition(), message.offset()))
    producer = Producer({"bootstrap.servers": kafka})

    def emit(messages: list[Any]) -> None:
        for message in messages:
            stamp = STAMP.pack(1, 1, message.partition(), message.offset(), 0, 5, 0)
            producer.produce(f"clean.{event}", message.value(), message.key(), message.partition(), headers=[("hm", stamp)])
        assert producer.flush(30) == 0

    def close(number: int, offset: int) -> None:
        counts = {"first": 0, "seen": offset, "barriers": 1, "carried": 0, "left": 0, "tallies": {}}
        barrier = CleanBarrier(hour=4, source=1, partition=number, offset=offset, append_ms=0, **counts)
        producer.produce(f"clean.{event}", None, None, number, headers=clean_barrier_headers(barrier))

    by_partition = [[m for m in raw if m.partition() == number] for number in range(PARTITIONS)]
    for messages in by_partition:
        emit(messages[:6])
        emit(messages[2:8])  # a stretch again, after a crash
        close(messages[7].partition(), messages[7].offset())
    for number in range(PARTITIONS):  # not a dedup worker's: it means nothing
        producer.produce(f"clean.{event}", None, None, number, headers=raw_barrier_headers(5))
    group = secrets.token_hex(4)
    seen: list[str] = []
    with CleanReader(kafka, registry.url, event, group, idle=5) as reader:
        for record in reader:
            assert record["n"] == ids.index(record["_event_id"])
            assert reader.stamp is not None
            assert reader.stamp.hour == 5
            seen.append(record["_event_id"])
            if len(seen) == 8 * PARTITIONS:
                break
        assert reader.repeats == 4 * PARTITIONS
    for messages in by_partition:
        emit(messages[4:])
        close(messages[-1].partition(), messages[-1].offset() + 5)
        echo = STAMP.pack(1, 1, messages[-1].partition(), messages[-1].offset() + 2, 0, 5, 4)  # of a copy that a day's seal forgot
        producer.produce(f"clean.{event}", messages[0].value(), messages[0].key(), messages[0].partition(), headers=[("hm", echo)])
    assert producer.flush(30) == 0
    last = seen.pop()  # it was given, but the next one was never asked for: it comes again
    with CleanReader(kafka, registry.url, event, group, idle=5) as reader:
        again = [record["_event_id"] for record in reader]
    assert last in again
    assert sorted(seen + again) == sorted(ids)


def test_the_examples_of_the_readme(kafka: str, registry: ScriptedRegistry, event: str, capsys: pytest.CaptureFixture[str]) -> None:
    fields = [{"name": "track", "type": "string"}, {"name": "ms_played", "type": "long"}]
    registry.declare(event, 77, wire_schema(event, fields), partitions=PARTITIONS)
    sending, reading = (
        block.replace("127.0.0.1:9092", kafka).replace("http://127.0.0.1:8081", registry.url).replace("player.song_played", event)
        for block in BLOCKS[2:4]
    )
    exec(compile(sending, "README.md", "exec"), {"__name__": "readme"})
    (message,) = read_raw(kafka, event, 1)
    producer = Producer({"bootstrap.servers": kafka})
    stamp = STAMP.pack(1, 1, message.partition(), message.offset(), 0, 5, 0)
    producer.produce(f"clean.{event}", message.value(), message.key(), message.partition(), headers=[("hm", stamp)])
    assert producer.flush(30) == 0
    exec(compile(reading, "README.md", "exec"), {"__name__": "readme"})
    event_id = UUID(bytes=message.value()[5:21])
    assert capsys.readouterr().out == f"{event_id} x 5\n"
