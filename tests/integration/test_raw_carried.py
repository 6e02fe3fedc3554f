"""Events that only a Kafka has which is given up: saved to files, and sent on to the topics made anew, byte for byte."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from cli.failures import WrongInput
from cli.raw import save, send_again
from hourmark.event import raw_barrier_headers
from hourmark.kafka import TopicSpec, ensure_topics, partition_counts
from hourmark.topics import event_topic_config, raw_topic
from tests.sinks.fakes import PAYLOAD, value_of, wire_schema
from tests.sinks.stage import eventually

pytestmark = pytest.mark.real


def made(admin: AdminClient, topic: str) -> bool:
    return topic in ensure_topics(admin, [TopicSpec(topic, 2, event_topic_config(3_600_000, 1))])


def events(kafka: str, topic: str) -> list[tuple[int, Any, Any]]:
    """Partition, key and value of all that stands there."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "enable.auto.commit": False})
    found: list[tuple[int, Any, Any]] = []
    try:
        for number in range(2):
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            consumer.assign([TopicPartition(topic, number, 0)])
            read = 0
            while read < end:
                for message in consumer.consume(1000, 0.5):
                    read += 1
                    found.append((number, message.key(), message.value()))
    finally:
        consumer.close()
    return found


def test_saved_from_one_kafka_and_sent_to_the_next(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"t{secrets.token_hex(4)}.player.played"
    topic, schema, admin = raw_topic(name), wire_schema(name, 1, PAYLOAD), AdminClient({"bootstrap.servers": kafka})
    monkeypatch.setenv("HOURMARK_KAFKA", kafka)
    monkeypatch.setenv("HOURMARK_LAKE_URL", (tmp_path / "lake").as_uri())
    (tmp_path / "lake").mkdir()
    monkeypatch.setenv("HOURMARK_HOME", str(tmp_path))
    made(admin, topic)
    producer = Producer({"bootstrap.servers": kafka})
    wanted = []
    for number in range(300):
        value = value_of(schema, number, {"user": "u", "ms": number})
        producer.produce(topic, value=value, key=value[5:21], partition=number % 2)
        wanted.append((number % 2, value[5:21], value))
    headers: Any = raw_barrier_headers(1)
    producer.produce(topic, value=None, partition=0, headers=headers)
    producer.produce(topic, value=b"junk", partition=1)
    producer.flush(30)
    save(tmp_path / "raw", 1.0, as_json=True)
    assert json.loads(capsys.readouterr().out)["events"][name] == 300
    with pytest.raises(WrongInput):
        save(tmp_path / "raw", 1.0)
    for other in (tmp_path / "raw").iterdir():  # of other tests on the same broker
        if not other.name.startswith(f"{name}."):
            other.unlink()
    admin.delete_topics([topic])[topic].result()
    with pytest.raises(WrongInput, match="no raw topic"):
        eventually(lambda: send_again(tmp_path / "raw") or False, "the topic to be gone")
    eventually(lambda: made(admin, topic), "the topic to be made anew")
    eventually(lambda: partition_counts(admin, [topic]), "the brokers to know it")
    capsys.readouterr()
    send_again(tmp_path / "raw", as_json=True)
    assert json.loads(capsys.readouterr().out)["events"] == {name: 300}
    assert sorted(events(kafka, topic)) == sorted(wanted)
