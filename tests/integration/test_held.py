"""`hourmark parked` and `hourmark rejected` on real topics: bounded, honest about it, unmoved by what anybody else has written there."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from cli.held import waiting
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.parked import PARKED_HEADER, Replayed, parked_partition
from hourmark.rejects import Reject, reject_headers
from hourmark.topics import PARKED, PLATFORM_PARTITIONS, REJECTED, REPLAYS, platform_topic_config
from tests.cli.conftest import Command, command

pytestmark = pytest.mark.real
__all__ = ["command"]  # a fixture

EVENT = b'{"type":"%b","id":"01950000-0000-7000-8000-00000000abcd","time":"2026-03-01T07:00:00Z","payload":{"name":"anna"}}'


@pytest.fixture
def produce(kafka: str, monkeypatch: pytest.MonkeyPatch, command: Command) -> Any:
    """Writes records to the platform's topics; the command line finds this Kafka, and no registry."""
    specs = [TopicSpec(topic, count, platform_topic_config(topic, 1)) for topic, count in PLATFORM_PARTITIONS.items()]
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), specs)
    monkeypatch.setenv("HOURMARK_KAFKA", kafka)
    producer = Producer({"bootstrap.servers": kafka, "acks": "all"})

    def write(topic: str, partition: int, value: bytes | None, key: bytes | None = None, headers: Any = None) -> int:
        placed: list[int] = []
        producer.produce(topic, value, key, partition, lambda _e, m: placed.append(m.offset() or 0), headers=headers)
        assert producer.flush(30) == 0
        return placed[0]

    return write


def parked_value(name: str, version: str) -> bytes:
    envelope = json.dumps({"sdk": "ios", "sdk_version": version, "app": "tv", "install": None, "sent_at": 1, "received_at": 2})
    return b'{"envelope":%b,"event":%b}' % (envelope.encode(), EVENT % name.encode())


def test_what_waits_and_what_is_done(produce: Any, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"t{uuid.uuid4().hex[:10]}.waits"
    place = parked_partition(name)
    offsets = [produce(PARKED, place, parked_value(name, f"{n % 2}.0"), headers=[(PARKED_HEADER, name.encode())]) for n in range(7)]
    produce(PARKED, place, b"no JSON", headers=[(PARKED_HEADER, name.encode())])
    produce(PARKED, place, None)
    progress = Replayed(type=name, partition=place, next=offsets[2], replayed=1, rejected=1, at=1_772_348_400_000)
    produce(REPLAYS, 0, json.dumps({f: getattr(progress, f) for f in progress.__struct_fields__}).encode(), progress.key)
    said = command("parked", name, "--json")
    assert said.code == 0, said.err
    (row,) = json.loads(said.out)["types"]
    assert json.loads(command("parked", "--json").out)["foreign"] >= 1
    assert (row["waiting"], row["replayed"], row["rejected"]) == (6, 1, 1)
    assert [(one["version"], one["events"]) for one in row["senders"]] == [("0.0", 3), ("1.0", 2)]
    assert row["example"] == {"name": "text(4)"}
    assert row["since"] < row["expires"]
    assert row["state"] == "the registry does not say whether it is declared"
    text = command("parked", name)
    assert "anna" not in text.out
    assert "hourmark rejected" in text.out
    assert name in command("parked").out
    monkeypatch.setattr(waiting, "LOOKED_AT", 4)
    sampled = json.loads(command("parked", name, "--json").out)
    assert sampled["sampled"]
    assert 0 < sampled["types"][0]["waiting"] <= 4
    assert "a sample" in command("parked").out
    assert command("parked", "not.parked").code == 0


def test_refusals_of_every_room_by_code_and_sender(produce: Any, command: Command) -> None:
    name = f"t{uuid.uuid4().hex[:10]}.refused"
    for n in range(4):
        known: dict[str, Any] = {"room": "receiver", "code": ("schema_mismatch", "sdk_not_bound")[n // 3], "sdk": "ios", "sdk_version": "9"}
        reject = Reject(event_type=name, path="/payload/name", detail="expected long, got 'anna'", event_id=str(uuid.uuid4()), **known)
        produce(REJECTED, n, EVENT % name.encode(), headers=reject_headers(reject))
    reject = Reject(room="dedup", code="invalid_event", event_type=name, topic=f"raw.{name}", partition=3, offset=77)
    produce(REJECTED, 0, b"\x00\x01anna", headers=reject_headers(reject))
    produce(REJECTED, 0, b"junk")
    said = command("rejected", name)
    assert said.code == 0, said.err
    assert "anna" not in said.out
    assert f"raw.{name}[3]@77" in said.out
    groups = json.loads(command("rejected", name, "--json").out)["groups"]
    assert [(g["room"], g["code"], g["events"], g["replayable"]) for g in groups] == [
        ("receiver", "schema_mismatch", 3, True),
        ("dedup", "invalid_event", 1, False),
        ("receiver", "sdk_not_bound", 1, True),
    ]
    only = json.loads(command("rejected", name, "--code", "sdk_not_bound", "--since", "1h", "--json").out)["groups"]
    assert [g["code"] for g in only] == ["sdk_not_bound"]
    assert command("rejected", name, "--since", "soon").code == 2
    assert "nothing of not.there" in command("rejected", "not.there").out
