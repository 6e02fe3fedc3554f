"""Where the row of a forwarded event is, by the lake alone: in Kafka, in a part, in its sealed hour, or nowhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from cli.addresses import Addresses
from cli.watch.fate import LakeView
from hourmark.event import STAMP_HEADER, Stamp, unpack_stamp
from hourmark.hours import label
from sinks.lake import open_store
from tests.sinks.fakes import HOUR, PAYLOAD, Clean, Feed, declared, value_of, wire_schema
from tests.sinks.room import Room

TYPE = "a.thing"
SCHEMA = wire_schema(TYPE, 1, PAYLOAD)


class Lake:
    """A lake with one partition, and what is asked of it."""

    def __init__(self, place: Path) -> None:
        self.place, self.feed = place, Feed()
        self.room = Room(SCHEMA, declared(TYPE, SCHEMA), store=open_store(place.as_uri()))

    def event(self, number: int, hour: int = HOUR) -> tuple[Clean, int]:
        """The record, and its clean offset."""
        record = self.feed.record(value_of(SCHEMA, number, {"user": "u", "ms": number}), hour)
        return record, len(self.feed.out) - 1

    def fate(self, event: tuple[Clean, int], seconds: float = 60.0) -> dict[str, Any]:
        record, offset = event
        stamp: Stamp = unpack_stamp(dict(record.headers)[STAMP_HEADER])
        view = LakeView(Addresses(lake=self.place.as_uri()))
        return view.fate(TYPE, stamp, offset, str(UUID(bytes=(record.value or b"")[5:21])), time.monotonic() + seconds)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    for number in range(10):
        made.event(number)
    return made


def test_from_kafka_through_a_part_to_its_sealed_hour(lake: Lake) -> None:
    event = lake.event(99)
    found = lake.fate(event)
    assert (found["hour"], found["state"], found["where"]) == (label(HOUR), "open", "in Kafka: the sink has not written it out yet")
    lake.room.drain(lake.feed, step=6)
    part = lake.fate(event)["where"].removeprefix("in a staged part: ")
    assert 99 in pq.read_table(lake.place / part).column("ms").to_pylist()
    lake.feed.barrier(HOUR)
    lake.room.drain(lake.feed)
    lake.room.seal()
    found = lake.fate(event)
    assert (found["state"], found["row"]) == ("sealed", True)
    assert 99 in pq.ParquetFile(lake.place / found["file"]).read().column("ms").to_pylist()


def test_an_open_hour_says_why(lake: Lake) -> None:
    event = lake.event(99)
    lake.room.drain(lake.feed)
    (why,) = lake.fate(event)["why"]
    assert why == "partition 0: dedup has not closed the hour here: no barrier yet"


def test_a_row_that_is_not_where_it_must_be(lake: Lake) -> None:
    lake.feed.barrier(HOUR)
    lake.room.drain(lake.feed)
    lake.room.seal()
    forged = Feed()
    forged.offset = 5000
    found = lake.fate((forged.record(value_of(SCHEMA, 3, {"user": "u", "ms": 3}), HOUR), 4))
    assert (found["state"], found["row"]) == ("sealed", False)
    assert "hourmark fsck" in found["why"][0]


def test_an_hour_sealed_by_force_without_it(lake: Lake) -> None:
    """The row stands in a later hour: it is looked for there too."""
    event = lake.event(99)
    lake.feed.barrier(HOUR)
    lake.feed.barrier(HOUR + 1)
    lake.room.drain(lake.feed)
    lake.room.seal()
    first, second = (lake.place / "events" / TYPE).glob("dt=*/hour=*/*.parquet")
    first, second = sorted((first, second))
    moved = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(moved)
    found = lake.fate(event)
    assert (found["row"], found["hour"]) == (True, label(HOUR + 1))


def test_when_the_time_is_up_nobody_says_that_it_is_missing(lake: Lake) -> None:
    event = lake.event(99)
    lake.feed.barrier(HOUR)
    lake.room.drain(lake.feed)
    lake.room.seal()
    assert lake.fate(event, seconds=-1.0)["row"] is None


def test_by_the_lake_alone(lake: Lake) -> None:
    lake.feed.barrier(HOUR)
    lake.room.drain(lake.feed)
    lake.room.seal()
    view = LakeView(Addresses(lake=lake.place.as_uri()))
    event_id = str(UUID(bytes=value_of(SCHEMA, 3, {"user": "u", "ms": 3})[5:21]))
    (row,), whole = view.rows(TYPE, event_id, None, time.monotonic() + 60)
    assert (row.hour, row.facts["_raw_offset"], whole) == (HOUR, 4, True)
    assert view.rows(TYPE, event_id, range(HOUR + 1, HOUR + 9), time.monotonic() + 60) == ([], True)
