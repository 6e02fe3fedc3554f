"""Open rows are those that will land: at any moment of a sink's work, whatever it has read, of the same columns and types."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from cli.sealed import Lake, LocalLake, Opened, connect
from cli.watch import opened
from cli.watch.log import Place, Span
from cli.watch.opened import Opener, Registered
from hourmark.errors import BrokerUnavailable
from hourmark.topics import clean_topic
from sinks.lake import open_store
from tests.sinks.fakes import HOUR, PAYLOAD, Clean, Feed, declared, value_of, wire_schema
from tests.sinks.room import Room

TYPE = "a.thing"
OLD = wire_schema(TYPE, 1, PAYLOAD)
NEW = wire_schema(TYPE, 2, [*PAYLOAD, {"name": "added", "type": "long", "default": 7}], version=2)
HOURS = 3


class PaperLog:
    """Clean partitions on paper, up to `ends`."""

    def __init__(self, feeds: list[Feed], away: bool = False) -> None:
        self._logs = {(clean_topic(TYPE), feed.partition): feed.out for feed in feeds}
        self._away = away

    def counts(self, topics: Iterable[str], timeout: float = 10.0) -> dict[str, int]:
        if self._away:
            raise BrokerUnavailable("nobody answers")
        return {topic: len(self._logs) for topic in topics}

    def begins(self, places: Iterable[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: len(self._logs[place]) for place in places}

    def polls(self, spans: Mapping[Place, Span], deadline: float) -> Iterator[list[Message]]:
        for place, (start, end) in spans.items():
            for low in range(start, end, 100):
                yield [_message(place, at, self._logs[place][at]) for at in range(low, min(low + 100, end))]


def _message(place: Place, offset: int, record: Clean) -> Message:
    make: Any = Message
    made: Message = make(topic=place[0], partition=place[1], offset=offset, value=record.value, headers=list(record.headers))
    return made


def feeds(chance: random.Random) -> list[Feed]:
    """Two partitions with events of both schemas, copies, skewed ones, and stretches that a dedup worker said again."""
    made = []
    for partition in (0, 1):
        feed, number = Feed(partition), partition * 10_000
        for hour in range(HOUR, HOUR + HOURS):
            for _ in range(chance.randrange(120)):
                number += 1
                schema = NEW if number % 3 == 0 else OLD
                payload = {"user": f"u{number}", "ms": number, **({"added": number} if schema is NEW else {})}
                feed.record(value_of(schema, number, payload), hour, skewed=number % 11 == 0)
                if number % 7 == 0:
                    feed.duplicate(hour)
            again = chance.randrange(1, 20)
            feed.out.extend(feed.out[-again:])
            feed.barrier(hour)
        made.append(feed)
    return made


def rows(lake: Lake, found: Opened | None) -> list[tuple[Any, ...]]:
    """All rows that a query sees, without `_final`, in one order; with the names and types of their columns."""
    with connect(lake, [TYPE], None if found is None else {TYPE: found}) as connection:
        columns = "* EXCLUDE _final" if found is not None else "*"
        cursor = connection.execute(f'SELECT {columns} FROM "{TYPE}" ORDER BY _raw_partition, _raw_offset')
        return [tuple((name, str(kind)) for name, kind, *_ in cursor.description or ()), *cursor.fetchall()]


@pytest.mark.parametrize("seed", range(8))
def test_at_any_moment_the_rows_are_those_that_will_land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(opened, "HELD_BYTES", chance.choice((500, 5000, 1 << 20)))
    store = open_store(tmp_path.as_uri())
    room = Room(OLD, NEW, declared(TYPE, NEW, 2), store=store)
    lake, all_feeds = LocalLake(tmp_path), feeds(chance)
    for feed in all_feeds:  # the sink has read a piece of the log, flushed in some way, and sealed what it could
        whole, feed.out = feed.out, feed.out[: chance.randrange(len(feed.out))]
        room.drain(feed, step=chance.randrange(1, 90))
        feed.out = whole
    if chance.random() < 0.7:
        room.seal()
    (tmp_path / "made").mkdir()
    opener = Opener(store, lake, PaperLog(all_feeds), Registered(room.shapes, lambda _: 2), tmp_path / "made")
    seen = opener.open(TYPE)
    assert seen.notes == []
    before = rows(lake, seen)
    for feed in all_feeds:
        room.drain(feed)
    room.seal()
    after = rows(lake, None)
    assert len(after) > 1
    assert set(before[0]) == set(after[0])
    order = [[name for name, _ in before[0]].index(name) for name, _ in after[0]]
    assert [tuple(row[at] for at in order) for row in before[1:]] == after[1:]


def test_an_hour_that_is_decided_and_not_presented_is_open_and_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path.as_uri())
    room = Room(OLD, declared(TYPE, OLD), store=store)
    feed = Feed()
    for number in range(50):
        feed.record(value_of(OLD, number, {"user": "u", "ms": number}), HOUR)
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    lake = LocalLake(tmp_path)
    for file in (tmp_path / "events" / TYPE).glob("dt=*/hour=*/*"):
        file.unlink()  # as if the sealer had died between decision and publishing
    (tmp_path / "made").mkdir()
    found = Opener(store, lake, PaperLog([feed]), Registered(room.shapes, lambda _: 1), tmp_path / "made").open(TYPE)
    assert found.final == []
    assert len(rows(lake, found)) == 51


def test_without_kafka_parts_are_shown_and_a_note_says_what_is_missing(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    room, feed = Room(OLD, declared(TYPE, OLD), store=store), Feed()
    for number in range(50):
        feed.record(value_of(OLD, number, {"user": "u", "ms": number}), HOUR)
    whole, feed.out = feed.out, feed.out[:21]  # a barrier and twenty events
    room.drain(feed)
    feed.out = whole
    lake = LocalLake(tmp_path)
    (tmp_path / "made").mkdir()
    for log in ("it is not known", PaperLog([feed], away=True)):
        found = Opener(store, lake, log, Registered(room.shapes, lambda _: 1), tmp_path / "made").open(TYPE)
        assert len(rows(lake, found)) == 1 + 20
        assert "rows that only Kafka has are left out" in found.notes[0]


def test_too_much_is_cut_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "HELD_BYTES", 1000)
    monkeypatch.setattr(opened, "TAIL_BYTES", 5000)
    store = open_store(tmp_path.as_uri())
    room, feed = Room(OLD, declared(TYPE, OLD), store=store), Feed()
    for number in range(1000):
        feed.record(value_of(OLD, number, {"user": "u", "ms": number}), HOUR)
    (tmp_path / "made").mkdir()
    found = Opener(store, LocalLake(tmp_path), PaperLog([feed]), Registered(room.shapes, lambda _: 1), tmp_path / "made").open(TYPE)
    assert "the newest rows are left out" in found.notes[0]
    assert 1 < len(rows(LocalLake(tmp_path), found)) < 1001


def test_a_type_without_rows_can_be_asked_for(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    room = Room(OLD, declared(TYPE, OLD), store=store)
    found = Opener(store, LocalLake(tmp_path), PaperLog([Feed()]), Registered(room.shapes, lambda _: 1), tmp_path).open(TYPE)
    (columns,) = rows(LocalLake(tmp_path), found)
    assert ("ms", "BIGINT") in columns
