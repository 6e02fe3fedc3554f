"""What is done to the data during a storm: changed declarations, more partitions, poison on raw topics, events that are very large."""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from hourmark.errors import PlatformError
from hourmark.event import ID_END, ID_START, frame
from hourmark.hours import label
from hourmark.topics import raw_topic
from hourmark_client import Verdict
from hourmark_client.ids import event_ids

from .field import FIELDS
from .rig import Rig

MOST_PARTITIONS = 6
KIB = 1024
_numbers = itertools.count(1)


def declare(rig: Rig, _rng: random.Random) -> str:
    name = f"storm.new_{next(_numbers)}"
    return _declared(rig, name, f"declared {name}")


def grow(rig: Rig, rng: random.Random) -> str:
    """Copies of events from before now go to other partitions than their originals."""
    name = rig.pick(rng)
    partitions = min(MOST_PARTITIONS, rig.declared[name].get("partitions", 2) + rng.randint(1, 2))
    return _declared(rig, name, f"{name} grows to {partitions} partitions", partitions=partitions)


def evolve(rig: Rig, rng: random.Random) -> str:
    name = rig.pick(rng)
    added = f"added_{len(rig.declared[name]['fields']) - len(FIELDS) + 1}"
    fields = [*rig.declared[name]["fields"], {"name": added, "type": ["null", "string"], "default": None}]
    return _declared(rig, name, f"{name} gets a field {added}", fields=fields)


def _declared(rig: Rig, name: str, said: str, **change: Any) -> str:
    try:
        rig.declare(name, **change)
    except PlatformError as exc:
        return f"{said}: not now ({exc.message.splitlines()[0][:80]})"
    return said


def undeclared(rig: Rig, _rng: random.Random) -> str:
    """Events of a type that nobody has declared, and never will."""
    rig.undeclared_wanted += 1
    return "events of an undeclared type"


def poison(rig: Rig, rng: random.Random) -> str:
    return rig.poison(rng)


def large(rig: Rig, rng: random.Random) -> str:
    """Just below the limit of 1 MiB an event, and just above it."""
    rig.large_wanted.append((rig.pick(rng), 1023 * KIB))
    rig.large_wanted.append((rig.pick(rng), 1025 * KIB))
    return "events of 1 MiB, and one that is larger"


class Poison:
    """Writes what is no event straight to raw topics, and remembers where; and valid events of the schema that a type had first."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        rig.poison = self.write
        self._producer = Producer({"bootstrap.servers": rig.kafka, "acks": "all", "enable.idempotence": True, "log_level": 0})
        self._first: dict[str, bytes] = {}
        self.written: dict[tuple[str, int, int], str] = {}
        self.doubtful = 0

    def write(self, rng: random.Random) -> str:
        name = self._rig.pick(rng)
        partitions = self._rig.declared[name].get("partitions", 2)
        if name not in self._first:
            found = _any_event(self._rig.kafka, name)
            if found is None:
                return f"no poison: {name} has no events yet"
            self._first[name] = found
        event = self._first[name]
        kinds = _kinds(event, self._rig.hour_now())
        for kind, value, headers in rng.sample(kinds, 4):
            self._produce(name, rng.randrange(partitions), kind, value, headers)
        for _ in range(5):  # valid, of the first schema, between those of newer ones
            event_id = event_ids()
            self._produce(name, rng.randrange(partitions), event_id, _with_id(event, bytes.fromhex(event_id.replace("-", ""))), None)
        self._producer.poll(0)
        return f"poison and events of its first schema on raw.{name}"

    def close(self) -> int:
        """Waits for what is on its way; how many never got an answer."""
        return int(self._producer.flush(150.0)) + self.doubtful

    def _produce(self, name: str, partition: int, kind: str, value: bytes | None, headers: Any) -> None:
        def told(error: object, message: Message) -> None:
            if error is not None:
                self.doubtful += 1
            elif "-" in kind:
                self._rig.ledgers[name].original(Verdict(name, kind, "stored", 1))
            elif kind != "early barrier":
                self.written[str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)] = kind

        try:
            self._producer.produce(raw_topic(name), value=value, partition=partition, headers=headers or [], on_delivery=told)
        except KafkaException:  # a partition that our producer does not know yet
            return
        if "-" in kind:
            with self._rig.counting:
                self._rig.ledgers[name].sent += 1


def _kinds(event: bytes, hour: int) -> list[tuple[str, bytes | None, list[tuple[str, bytes]] | None]]:
    """(what is wrong, value, headers). `early barrier` is no event and no fault: it must be ignored."""
    return [
        ("empty", b"", None),
        ("one byte", b"\0", None),
        ("no frame", b"\1" + os.urandom(40), None),
        ("short", event[:12], None),
        ("cut off", _with_id(event, os.urandom(16))[: ID_END + 3], None),
        ("trailing bytes", _with_id(event, os.urandom(16)) + b"\0\1", None),
        ("unknown schema", frame(999_999) + os.urandom(16) + event[ID_END:], None),
        ("null", None, None),
        ("unreadable barrier", None, [("hm-barrier", b'{"hour": "' + label(hour).encode() + b'"}')]),
        ("early barrier", None, [("hm-barrier", msgspec.json.encode({"hour": hour + 500}))]),
    ]


def _with_id(event: bytes, event_id: bytes) -> bytes:
    return event[:ID_START] + event_id + event[ID_END:]


def _any_event(kafka: str, name: str) -> bytes | None:
    """The first event of a raw topic, as its bytes."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "storm", "enable.auto.commit": False, "log_level": 0})
    try:
        consumer.assign([TopicPartition(raw_topic(name), 0, 0)])
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            for message in consumer.consume(50, 0.2):
                value = message.value() if message.error() is None else None
                if value is not None and 60 < len(value) < 10 * KIB and value[0] == 0 and not value.endswith(b"\0\1"):
                    return value
    except KafkaException:
        return None
    finally:
        consumer.close()
    return None
