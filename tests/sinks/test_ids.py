"""The ids of a lake, with their raw coordinates: all of them, sealed or not, whatever stage their hour is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hourmark.event import Coordinates
from hourmark.hours import Hours
from sinks import layout
from sinks.disk import DiskStore
from sinks.ids import Coverage, Origins, coverage, read_ids, sealed_files
from sinks.store import Store
from tests.sinks.fakes import HOUR, HOUR_MS, PAYLOAD, DictStore, Feed, declared, event_id, value_of, wire_schema
from tests.sinks.room import Room

TYPE = "t.thing"
SCHEMA = wire_schema(TYPE, 1, PAYLOAD)
TWO = (SCHEMA, declared(TYPE, SCHEMA, partitions=2))


def fill(feed: Feed, hour: int, numbers: range, **how: Any) -> dict[bytes, Coordinates]:
    """Id → coordinates of what was written."""
    wanted = {}
    for number in numbers:
        wanted[event_id(number)] = Coordinates(feed.source, feed.partition, feed.offset)
        feed.record(value_of(SCHEMA, number, {"user": "u", "ms": number}), hour, **how)
    return wanted


def found_in(store: Store, covered: Coverage) -> dict[bytes, Coordinates]:
    files = [sealed_files(store, TYPE, hour) for hour in covered.sealed]
    assert [gone for one in files for gone in one.gone] == []
    found: dict[bytes, Coordinates] = {}
    for one in [*files, covered.unsealed]:
        for path in one.paths:
            for rows in read_ids(store, path, Origins(one.sources, {}), Hours()):
                ids = [rows.ids[at : at + 16] for at in range(0, len(rows.ids), 16)]
                owners = [Coordinates.unpack(rows.owners[at : at + 8]) for at in range(0, len(rows.owners), 8)]
                found.update(zip(ids, owners, strict=True))
    return found


@pytest.fixture(params=["dict", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return DictStore() if request.param == "dict" else DiskStore(tmp_path)


def test_sealed_hours_and_open_parts_hold_every_id_with_its_coordinates(store: Any) -> None:
    room = Room(*TWO, store=store)
    one, two = Feed(0), Feed(1, source=3)
    wanted = fill(one, HOUR, range(50)) | fill(two, HOUR, range(50, 90))
    for feed in (one, two):
        feed.barrier(HOUR)
    wanted |= fill(one, HOUR + 1, range(100, 130)) | fill(two, HOUR + 1, range(130, 140), skewed=True)
    for feed in (one, two):
        room.drain(feed, step=20)
    assert room.seal() == 1
    covered = coverage(store, TYPE)
    assert covered.sealed == [HOUR]
    assert covered.unsealed.rows == 40
    assert covered.tips == {0: len(one.out), 1: len(two.out)}
    assert found_in(store, covered) == wanted


def test_an_hour_decided_and_not_presented_is_read_from_its_parts() -> None:
    room = Room(*TWO)
    feeds = Feed(0), Feed(1)
    wanted = fill(feeds[0], HOUR, range(30))
    for feed in feeds:
        feed.barrier(HOUR)
        room.drain(feed, step=10)
    assert room.seal() == 1
    folder = layout.hour_folder(TYPE, HOUR)
    for path in [path for path in room.store.files if path.startswith(folder)]:
        del room.store.files[path]
    assert found_in(room.store, coverage(room.store, TYPE)) == wanted


def test_an_hour_whose_files_were_deleted_is_named() -> None:
    room = Room(*TWO)
    feeds = Feed(0), Feed(1)
    fill(feeds[0], HOUR, range(30))
    for feed in feeds:
        feed.barrier(HOUR)
        room.drain(feed)
    assert room.seal() == 1
    folder = layout.hour_folder(TYPE, HOUR)
    for path in [path for path in room.store.files if path.startswith(folder) and path.endswith(".parquet")]:
        del room.store.files[path]
    files = sealed_files(room.store, TYPE, HOUR)
    assert files.paths == []
    assert [path.startswith(folder) for path in files.gone] == [True]


def test_events_of_two_append_hours_come_apart() -> None:
    """The index keeps days of the append time; a skewed event stands in a later hour than it was appended in."""
    room = Room(*TWO)
    feed = Feed(0)
    feed.barrier(HOUR)
    feed.record(value_of(SCHEMA, 1, {"user": "u", "ms": 1}), HOUR + 1)
    feed.record(value_of(SCHEMA, 2, {"user": "u", "ms": 2}), HOUR + 2)
    room.drain(feed)
    covered = coverage(room.store, TYPE)
    rows = [rows for path in covered.unsealed.paths for rows in read_ids(room.store, path, Origins(covered.unsealed.sources, {}), Hours())]
    assert sorted(row.append_ms // HOUR_MS for row in rows) == [HOUR + 1, HOUR + 2]
    joined = [(row.append_ms // HOUR_MS, row.ids) for row in rows]
    assert sorted(joined) == [(HOUR + 1, event_id(1)), (HOUR + 2, event_id(2))]
