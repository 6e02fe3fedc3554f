"""The files of an hour depend on its rows alone: not on the parts, their number, or how many files there are."""

from __future__ import annotations

import io
import random
from typing import Any

import pyarrow.parquet as pq
import pytest

from sinks import layout, plan, publish
from sinks.flush import Shapes
from sinks.manifest import Manifest, Plan, decode
from sinks.watermarks import decided
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, value_of, wire_schema
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import ONE, SCHEMA, TYPE, files, fill, manifest, rows

ROWS = 3000


def hour(monkeypatch: pytest.MonkeyPatch, step: int, **limits: int) -> Room:
    """One hour of 3000 rows in random order of their times, flushed every `step` records."""
    for name, value in limits.items():
        monkeypatch.setattr(plan if name == "FILE_EVENTS" else publish, name, value)
    room, feed, rng = Room(*ONE), Feed(), random.Random(3)
    for number in range(ROWS):
        feed.record(value_of(SCHEMA, number, {"user": "u" * rng.randrange(40), "ms": number}, rng.randrange(500)), HOUR)
    feed.barrier(HOUR)
    room.drain(feed, step)
    assert room.seal() == 1
    return room


@pytest.mark.parametrize("step", [ROWS, 611, 40])
@pytest.mark.parametrize("limits", [{"AT_ONCE_ROWS": 0}, {"AT_ONCE_ROWS": 0, "OPEN_MOST": 4}])
def test_merged_as_streams_or_by_temporary_files(monkeypatch: pytest.MonkeyPatch, step: int, limits: dict[str, int]) -> None:
    whole = hour(monkeypatch, ROWS + 1)
    assert files(hour(monkeypatch, step, **limits).store, parquet=True) == files(whole.store, parquet=True)


def test_a_large_hour_is_cut_into_files_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [hour(monkeypatch, step, FILE_EVENTS=60_000, AT_ONCE_ROWS=at_once) for step, at_once in ((ROWS + 1, 10**6), (97, 0))]
    one, two = (files(room.store, parquet=True) for room in made)
    assert one == two
    said = manifest(made[0], HOUR)
    assert len(said.files) > 3
    assert {file.rows for file in said.files} <= {ROWS // len(said.files), ROWS // len(said.files) + 1}
    keys = [(row["_event_time"], row["_raw_partition"], row["_raw_offset"]) for row in rows(made[0], HOUR)]
    assert keys == sorted(keys)
    assert len(keys) == ROWS


def test_files_that_stand_already_are_left_out() -> None:
    """An object store that keeps what an earlier publisher has written: the rows of the next file are still its own."""
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(30))
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    table = pq.read_table(io.BytesIO(next(iter(files(room.store, parquet=True).values()))))
    found = publish._Rows(iter([table.slice(0, 7), table.slice(7)]), table.schema)
    file = io.BytesIO()
    found.writing(10, 15)(file)
    assert pq.read_table(file).equals(table.slice(10, 15))
    with pytest.raises(publish.InvariantBroken):
        found.writing(25, 6)(io.BytesIO())


def test_a_schema_declared_after_the_hour_does_not_change_it() -> None:
    """Replayed months later, when the type has new columns: the same bytes, for the columns come from the log."""
    newer = wire_schema(TYPE, 2, [*PAYLOAD, {"name": "extra", "type": ["null", "string"], "default": None}], version=2)
    stores = []
    for entries in (ONE, (SCHEMA, newer, declared(TYPE, newer))):
        room, feed = Room(*entries), Feed()
        feed.barrier(HOUR)  # an empty hour first
        fill(feed, HOUR + 1, range(9))
        feed.barrier(HOUR + 1)
        if newer in entries:
            feed.record(value_of(newer, 50, {"user": "u", "ms": 1, "extra": "x"}), HOUR + 2)
            feed.barrier(HOUR + 3)
        room.drain(feed)
        room.seal()
        stores.append(room)
    old, new = (files(room.store, parquet=True) for room in stores)
    assert {path: new[path] for path in old} == old
    assert [manifest(stores[1], HOUR + n).schema.id for n in range(4)] == [1, 1, 2, 2]  # an empty hour has the columns of the one before


def test_manifests_of_a_replay_differ_in_their_clock_only() -> None:
    made: list[Any] = []
    for now, step in ((2e9, 100), (3e9, 3)):
        room, feed = Room(*ONE, now=now), Feed()
        fill(feed, HOUR, range(20))
        feed.barrier(HOUR)
        room.drain(feed, step)
        room.seal()
        made.append((manifest(room, HOUR), decode(Plan, room.store.read(layout.seal(TYPE, HOUR)) or b""), room.outbox.sealed[0]))
    (one, first, said), (two, second, repeated) = made
    assert isinstance(one, Manifest)
    assert (one.content, one.plan, first.essence()) == (two.content, two.plan, second.essence())
    assert one.content == one.contents() == said.content_sha256 == repeated.content_sha256
    assert one.sealed_at != two.sealed_at
    assert first.parts != second.parts


class Forgotten:
    """Schemas of a registry that was begun anew."""

    def get(self, schema_id: int, event_type: str) -> None:
        return None


def test_hours_whose_schema_only_the_lake_has_are_presented_as_they_were() -> None:
    """With rows by the columns of their parts, without rows by those of the hour before."""
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(30))
    feed.barrier(HOUR)
    feed.barrier(HOUR + 1)
    room.drain(feed)
    room.seal()
    before = files(room.store, parquet=True)
    for hour in (HOUR, HOUR + 1):
        folder = layout.hour_folder(TYPE, hour)
        for name in room.store.names(folder):
            room.store.remove(f"{folder}/{name}")
    publisher = publish.Publisher(room.store, Shapes(Forgotten()), room.catalogue)  # type: ignore[arg-type]  # all that is asked of it
    for hour in (HOUR, HOUR + 1):
        publisher.publish(decided(room.store, TYPE, hour))
    assert files(room.store, parquet=True) == before
