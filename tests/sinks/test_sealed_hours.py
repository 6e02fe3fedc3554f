"""From clean records to presented hours, on a lake in memory and on a disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from hourmark.hours import label
from sinks import layout
from sinks.disk import DiskStore
from sinks.manifest import Manifest, decode
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, value_of, wire_schema
from tests.sinks.room import Room

TYPE = "t.thing"
SCHEMA = wire_schema(TYPE, 1, PAYLOAD)


def fill(feed: Feed, hour: int, numbers: range) -> None:
    for number in numbers:
        feed.record(value_of(SCHEMA, number, {"user": f"u{number % 7}", "ms": number}), hour)


def manifest(room: Room, hour: int) -> Manifest:
    data = room.store.read(f"{layout.hour_folder(TYPE, hour)}/{layout.MANIFEST}")
    return decode(Manifest, data)


def test_two_hours_of_two_partitions(tmp_path: Path) -> None:
    room = Room(SCHEMA, declared(TYPE, SCHEMA, partitions=2), store=DiskStore(tmp_path))
    feeds = [Feed(0), Feed(1)]
    for feed in feeds:
        fill(feed, HOUR, range(feed.partition * 1000, feed.partition * 1000 + 100))
        fill(feed, HOUR + 1, range(feed.partition * 1000 + 100, feed.partition * 1000 + 110))
        feed.barrier(HOUR)
        fill(feed, HOUR + 1, range(feed.partition * 1000 + 110, feed.partition * 1000 + 150))
        feed.barrier(HOUR + 1)
        room.drain(feed, 37)
    assert room.seal() == 2
    for hour, rows in ((HOUR, 200), (HOUR + 1, 100)):
        found = manifest(room, hour)
        assert (found.complete, found.totals.rows, found.audit.faults) == (True, rows, [])
        folder = tmp_path / layout.hour_folder(TYPE, hour)
        assert (folder / "_SUCCESS").read_bytes() == b""
        table = pq.ParquetFile(folder / found.files[0].name).read()
        assert table.num_rows == len(set(table.column("_event_id").to_pylist())) == rows
        keys = list(zip(*(table.column(name).to_pylist() for name in ("_event_time", "_raw_partition", "_raw_offset")), strict=True))
        assert keys == sorted(keys)
    assert [sealed.hour for sealed in room.outbox.sealed] == [label(HOUR), label(HOUR + 1)]
