"""The canary without Kafka: what counts as stored, what is seen of it afterwards, and that its troubles are told once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError
from structlog.testing import capture_logs

from hourmark.canary import CANARY
from hourmark.event import FRAME, STAMP, STAMP_VERSION
from hourmark.schemas import EventType, WriteKey, token_digest
from receiver.app import Receiver
from receiver.canary import Canary, _fault
from receiver.settings import Settings
from receiver.sighting import MOST, Sent, Sightings

from .fakes import FakePublisher, FixedTail, catalogue

KEY = "canary-key"
HOUR = 400_000


class Seen(Sightings):
    """Sightings that remember what they told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Sent]] = []
        self.missing = 0
        super().__init__(lambda stage, sent: self.told.append((stage, sent)), self._count_lost)

    def _count_lost(self, count: int) -> None:
        self.missing += count

    def send(self, number: int) -> Sent:
        sent = Sent(float(number), float(number))
        self.expect(event_id(number), sent)
        return sent

    def read(self, number: int, hour: int = HOUR) -> None:
        self.clean(FRAME.pack(0, 1) + event_id(number) + b"rest", STAMP.pack(STAMP_VERSION, 1, 0, number, 0, hour, 0))


def event_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_from_sent_to_sealed() -> None:
    seen = Seen()
    first, second, third = (seen.send(number) for number in range(3))
    seen.read(0)
    seen.read(1, HOUR + 1)
    seen.read(99)  # another receiver's
    seen.clean(None, None)  # a barrier
    seen.sealed(HOUR, 7)
    assert seen.told == [("clean", first), ("clean", second), ("sealed", first)]
    seen.read(0)  # a copy
    seen.read(2, HOUR)  # of an hour that is sealed already: it is in none, and is told with the next
    seen.sealed(HOUR + 1, 2)
    assert seen.told[3:] == [("clean", third), ("sealed", third), ("sealed", second)]
    assert seen.missing == 0


def test_an_hour_with_fewer_rows_than_were_read_has_lost_some() -> None:
    seen = Seen()
    for number in range(3):
        seen.send(number)
        seen.read(number)
    with capture_logs() as lines:
        seen.sealed(HOUR, 1)
    assert seen.missing == 2
    assert [stage for stage, _ in seen.told] == ["clean"] * 3 + ["sealed"]
    assert [(line["log_level"], line["code"], line["missing"]) for line in lines] == [("error", "lost", 2)]


def test_what_never_arrives_is_forgotten_at_last() -> None:
    seen = Seen()
    for number in range(MOST + 10):
        seen.send(number)
        if number % 2:
            seen.read(number, HOUR + number)
    assert len(seen._awaited) <= MOST
    for number in range(MOST * 2):
        seen.send(number)
        seen.read(number, HOUR + number // 100)
    assert sum(map(len, seen._hours.values())) <= MOST


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"results": {"a": {"verdict": "stored", "partition": 0, "offset": 1}}}, ""),
        (200, {"results": {"a": {"verdict": "retry", "code": "broker_unavailable"}}}, "broker_unavailable"),
        (200, {"results": {"a": {"verdict": "parked"}}}, "http_200"),
        (200, {"results": {"b": {"verdict": "stored"}}}, "http_200"),
        (200, {"results": ["a"]}, "http_200"),
        (200, {}, "http_200"),
        (503, {"code": "overloaded"}, "overloaded"),
        (502, {}, "http_502"),
        (400, {"code": "What a long story about labels"}, "http_400"),
        (400, {"code": 7}, "http_400"),
    ],
)
def test_only_stored_is_stored(status: int, body: dict[str, Any], code: str) -> None:
    assert _fault(status, body, "a") == code


@pytest.mark.parametrize("url", ["front:8080", "ftp://front", "http://", "http://u:p@front", "http://front?x=1", "http://front#x"])
def test_a_front_door_that_is_none(url: str) -> None:
    with pytest.raises(ValidationError, match="front door"):
        Settings(canary_url=url, canary_key=KEY)


def test_a_front_door_needs_a_key() -> None:
    with pytest.raises(ValidationError, match="HOURMARK_CANARY_KEY"):
        Settings(canary_url="http://front:8080")
    assert Settings(canary_url="http://front:8080/", canary_key=KEY).canary_url == "http://front:8080"


def with_canary(tail: FixedTail) -> FixedTail:
    song = next(iter(tail.snapshot.types.values()))
    canary = EventType(revision=9, event=CANARY, owner="hourmark", schema_id=song.schema_id, partitions=1)
    key = WriteKey(revision=9, name="canary", token_sha256=token_digest(KEY), types=(CANARY,))
    tail.offer([(f"type/{CANARY}", canary), ("key/canary", key)])
    return tail


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_trouble_is_told_once_and_so_is_its_end(settings: Settings, tmp_path: Path) -> None:
    """Through a real receiver that has no such schema field: its events are rejected; then the receiver is gone."""
    publisher, tail = FakePublisher(), with_canary(FixedTail(catalogue()))
    rejected = value("hourmark_canary_failed_total", code="schema_mismatch")
    with capture_logs() as lines:
        async with Receiver(settings, tail=tail, publisher=publisher) as receiver:
            told = settings.model_copy(update={"canary_url": receiver.url, "canary_seconds": 0.01, "kafka": "127.0.0.1:9"})
            canary = Canary(told.model_copy(update={"canary_key": type(told.canary_key)(KEY)}), tail, "r1")
            canary._lookout.placed.set()
            canary.start()
            await until(lambda: value("hourmark_canary_failed_total", code="schema_mismatch") >= rejected + 3)
            gone = value("hourmark_canary_failed_total", code="unreachable")
        await until(lambda: value("hourmark_canary_failed_total", code="unreachable") >= gone + 3)
        await canary.close()
    mine = [line for line in lines if "canary" in line["event"]]
    assert [(line["log_level"], line["code"], line["event_type"]) for line in mine] == [("warning", "schema_mismatch", CANARY)]
    assert KEY not in str(lines)


async def until(found: Any) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
