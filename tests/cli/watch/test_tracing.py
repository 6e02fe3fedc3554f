"""Where an id is looked for, in which order, and what is said when the time is up. Kafka is on paper."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from confluent_kafka import Message

from cli.watch.log import Place, Span
from cli.watch.tracing import AFTER_MS, BEFORE_MS, Tracer, made_at
from hourmark.event import STAMP, STAMP_HEADER
from hourmark.parked import PARKED_HEADER
from hourmark.rejects import Reject, reject_headers
from hourmark.topics import PARKED, REJECTED, partition_of

MADE_MS = 1_772_000_000_000
ID = UUID(int=(MADE_MS << 80) | (7 << 76) | (2 << 62) | 99)
TYPES = {"a.thing": 4, "b.thing": 4}
LIKELY = partition_of(ID.bytes, 4)
MINUTE_MS = 60_000


class PaperKafka:
    """Topics on paper. `late`: records that come after the first scan."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[Message]] = {(f"{kind}.{name}", n): [] for kind in ("raw", "clean") for name in TYPES for n in range(4)}
        self.logs |= {(topic, number): [] for topic in (REJECTED, PARKED) for number in range(4)}
        self.read = 0
        self.late: list[tuple[Place, int, bytes | None, Any]] = []

    def add(self, place: Place, ms: int, value: bytes | None, headers: Any = (), key: bytes | None = None) -> None:
        make: Any = Message
        log = self.logs[place]
        made = make(topic=place[0], partition=place[1], offset=len(log), value=value, key=key, headers=list(headers), timestamp=(2, ms))
        log.append(made)

    def places(self, topics: Iterable[str]) -> list[Place]:
        wanted = set(topics)
        return [place for place in self.logs if place[0] in wanted]

    def begins(self, places: Iterable[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: len(self.logs[place]) for place in places}

    def at_time(self, places: Iterable[Place], ms: int) -> dict[Place, int]:
        return {place: sum(message.timestamp()[1] < ms for message in self.logs[place]) for place in places}

    def scan(self, spans: Mapping[Place, Span], deadline: float, see: Callable[[Message], bool | None]) -> dict[Place, int]:
        reached = {place: span.start for place, span in spans.items()}
        for place, span in spans.items():
            for message in self.logs[place][span.start : span.end]:
                if time.monotonic() > deadline:
                    return reached
                self.read += 1
                reached[place] += 1
                if see(message):
                    return reached
        for place, ms, value, headers in self.late:
            self.add(place, ms, value, headers)
        self.late = []
        return reached


def value(event_id: UUID = ID) -> bytes:
    return b"\0\0\0\0\1" + event_id.bytes + b"payload"


def stamp(partition: int, offset: int, ms: int) -> list[tuple[str, bytes]]:
    return [(STAMP_HEADER, STAMP.pack(1, 1, partition, offset, ms, 5, 0))]


def traced(kafka: PaperKafka, *, seconds: float = 60.0, since_ms: int | None = None) -> Tracer:
    paper: Any = kafka
    tracer = Tracer(paper, ID, time.monotonic() + seconds, lambda _: None)
    tracer.search(dict(TYPES), since_ms)
    return tracer


def test_only_one_partition_of_each_type_and_a_piece_of_time_is_read() -> None:
    kafka = PaperKafka()
    for place in kafka.logs:
        if place[0].startswith("raw."):
            for minute in range(-600, 0):
                kafka.add(place, MADE_MS + minute * MINUTE_MS, value(UUID(int=minute % 7)))
    kafka.add(("raw.a.thing", LIKELY), MADE_MS + 5, value())
    found = traced(kafka).found
    assert list(found) == ["a.thing"]
    assert kafka.read <= 2 * (BEFORE_MS // MINUTE_MS + 1) + 1


def test_copies_that_come_days_later_and_the_one_that_counts() -> None:
    kafka, raw, clean = PaperKafka(), ("raw.a.thing", LIKELY), ("clean.a.thing", LIKELY)
    kafka.add(raw, MADE_MS + 5, value())
    kafka.add(clean, MADE_MS + 9, value(), stamp(LIKELY, 0, MADE_MS + 5))
    kafka.add(raw, MADE_MS + 3 * AFTER_MS, value())
    kafka.late = [(raw, MADE_MS + 200 * AFTER_MS, value(), ())]
    found = traced(kafka).found["a.thing"]
    assert [copy.offset() for copy in found.copies] == [0, 1, 2]
    assert [kept.offset() for kept in found.kept] == [0]


def test_a_client_with_a_wrong_clock_is_found_all_the_same() -> None:
    for off in (-3_000 * MINUTE_MS, 3_000 * MINUTE_MS):
        kafka = PaperKafka()
        kafka.add(("raw.b.thing", LIKELY), MADE_MS + off, value())
        assert list(traced(kafka).found) == ["b.thing"]


def test_an_event_type_with_a_key_of_its_own_is_found_in_any_partition() -> None:
    kafka = PaperKafka()
    kafka.add(("raw.b.thing", (LIKELY + 1) % 4), MADE_MS, value())
    tracer = traced(kafka)
    assert len(tracer.found["b.thing"].copies) == 1
    assert tracer.searched[-1].what == "all other partitions"


def test_refused_and_parked_ones() -> None:
    kafka = PaperKafka()
    kafka.add((REJECTED, 2), MADE_MS, b"{}", reject_headers(Reject(room="receiver", code="x", event_type="a.thing", event_id=str(ID))))
    kafka.add((REJECTED, 1), MADE_MS, b"..", reject_headers(Reject(room="sinks", code="y", event_type="b.thing", event_id=ID.hex)))
    kafka.add((REJECTED, 1), MADE_MS, b"{}", reject_headers(Reject(room="receiver", code="z", event_type="a.thing", event_id="other")))
    kafka.add((PARKED, 3), MADE_MS, b"{}", [(PARKED_HEADER, b"c.thing")], ID.bytes)
    found = traced(kafka).found
    assert {name: (len(one.rejects), len(one.parked)) for name, one in found.items()} == {
        "a.thing": (1, 0),
        "b.thing": (1, 0),
        "c.thing": (0, 1),
    }


def test_nothing_is_found_and_everything_was_searched() -> None:
    kafka = PaperKafka()
    for place in kafka.logs:
        kafka.add(place, MADE_MS, value(UUID(int=1)))
    tracer = traced(kafka)
    assert tracer.found == {}
    assert all(one.complete for one in tracer.searched)
    assert sum(one.records for one in tracer.searched) == 8 + 8  # raw, rejected and parked, each once


def test_when_the_time_is_up_that_is_said() -> None:
    kafka = PaperKafka()
    kafka.add(("raw.a.thing", LIKELY), MADE_MS, value())
    tracer = traced(kafka, seconds=-1.0)
    assert tracer.found == {}
    assert not tracer.searched[0].complete


def test_since_bounds_the_search() -> None:
    kafka = PaperKafka()
    kafka.add(("raw.a.thing", LIKELY), MADE_MS, value())
    assert traced(kafka, since_ms=MADE_MS + 1).found == {}


def test_only_ids_of_version_7_say_when_they_were_made() -> None:
    assert made_at(ID) == MADE_MS
    assert made_at(UUID("00000000-0000-4000-8000-000000000000")) is None
    assert made_at(UUID(int=ID.int | (0xFFFF << 112))) is None
