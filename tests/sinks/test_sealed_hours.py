"""From clean records to presented hours, on a lake in memory and on a disk."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hourmark.errors import ChainConflict, LakeUnavailable, RegistryUnavailable
from hourmark.hours import label
from hourmark.schemas import entry_key
from hourmark.topics import Partition
from sinks import layout
from sinks.batches import PartitionBuffer
from sinks.commits import Tip
from sinks.disk import DiskStore
from sinks.manifest import Manifest, Plan, decode
from sinks.seal import Sealer
from tests.sinks.fakes import HOUR, PAYLOAD, DictStore, Feed, declared, event_id, value_of, wire_schema
from tests.sinks.room import Room, put

TYPE = "t.thing"
SCHEMA = wire_schema(TYPE, 1, PAYLOAD)
ONE = (SCHEMA, declared(TYPE, SCHEMA))
TWO = (SCHEMA, declared(TYPE, SCHEMA, partitions=2))


def fill(feed: Feed, hour: int, numbers: range, **how: Any) -> None:
    for number in numbers:
        feed.record(value_of(SCHEMA, number, {"user": f"u{number % 7}", "ms": number}), hour, **how)


def manifest(room: Room, hour: int) -> Manifest:
    return decode(Manifest, room.store.read(f"{layout.hour_folder(TYPE, hour)}/{layout.MANIFEST}"))


def rows(room: Room, hour: int) -> list[dict[str, Any]]:
    folder, found = layout.hour_folder(TYPE, hour), []
    for file in manifest(room, hour).files:
        with room.store.open(f"{folder}/{file.name}") as source:
            found += pq.ParquetFile(source).read().to_pylist()
    return found


def files(store: DictStore, root: str = layout.EVENTS, *, parquet: bool = False) -> dict[str, bytes]:
    return {path: data for path, data in store.files.items() if path.startswith(root) and (not parquet or path.endswith(".parquet"))}


def test_two_hours_of_two_partitions(tmp_path: Path) -> None:
    room = Room(*TWO, store=DiskStore(tmp_path))
    for feed in (Feed(0), Feed(1)):
        base = feed.partition * 1000
        fill(feed, HOUR, range(base, base + 100))
        fill(feed, HOUR + 1, range(base + 100, base + 110))
        feed.barrier(HOUR)
        fill(feed, HOUR + 1, range(base + 110, base + 150))
        feed.barrier(HOUR + 1)
        room.drain(feed, 37)
    assert room.seal() == 2
    for hour, count in ((HOUR, 200), (HOUR + 1, 100)):
        found = manifest(room, hour)
        assert (found.complete, found.totals.rows, found.audit.faults, found.audit.delta) == (True, count, [], 0)
        assert (tmp_path / layout.hour_folder(TYPE, hour) / "_SUCCESS").read_bytes() == b""
        stored = rows(room, hour)
        assert len(stored) == len({row["_event_id"] for row in stored}) == count
        keys = [(row["_event_time"], row["_raw_partition"], row["_raw_offset"]) for row in stored]
        assert keys == sorted(keys)
    assert [sealed.hour for sealed in room.outbox.sealed] == [label(HOUR), label(HOUR + 1)]
    assert list((tmp_path / layout.STAGING).iterdir()) == []


def test_one_barrier_after_a_long_stop_seals_every_hour_in_order() -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR + 3, range(10))
    feed.barrier(HOUR + 6)
    room.drain(feed)
    assert room.seal() == 7
    assert [manifest(room, HOUR + n).totals.rows for n in range(7)] == [0, 0, 0, 10, 0, 0, 0]
    assert all(manifest(room, HOUR + n).complete for n in range(7))
    assert [sealed.hour for sealed in room.outbox.sealed] == [label(HOUR + n) for n in range(7)]


def test_an_hour_waits_for_its_last_partition() -> None:
    room, busy, slow = Room(*TWO), Feed(0), Feed(1)
    fill(busy, HOUR, range(5))
    busy.barrier(HOUR)
    room.drain(busy)
    assert room.seal() == 0
    room.drain(slow)  # only its provisioning barrier
    assert room.seal() == 0
    slow.barrier(HOUR)
    room.drain(slow)
    assert room.seal() == 1


@pytest.mark.parametrize("first", [0, 1])
def test_a_type_created_over_the_end_of_an_hour_loses_none(first: int) -> None:
    """One partition was provisioned an hour before the other: the type begins with the earlier one's first hour."""
    feeds = [Feed(0, created_in=HOUR - 1), Feed(1, created_in=HOUR)]
    if first:
        feeds = [Feed(0, created_in=HOUR), Feed(1, created_in=HOUR - 1)]
    room = Room(*TWO)
    fill(feeds[first], HOUR, range(3))
    for feed in feeds:
        feed.barrier(HOUR + 1)
        room.drain(feed)
    assert room.seal() == 2
    assert [manifest(room, HOUR + n).totals.rows for n in range(2)] == [3, 0]


def test_records_before_the_first_barrier_count() -> None:
    """A topic whose provisioning barrier never came: its first record opens the first hour."""
    feed = Feed()
    feed.out.clear()
    feed.offset = feed._first = feed._seen = 0
    fill(feed, HOUR, range(4))
    feed.barrier(HOUR + 1)
    room = Room(*ONE)
    room.drain(feed)
    assert room.seal() == 2
    assert (manifest(room, HOUR).totals.rows, manifest(room, HOUR).complete) == (4, True)


def test_skewed_events_are_rows_of_the_open_hour_and_counted() -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(10))
    feed.barrier(HOUR)
    fill(feed, HOUR + 1, range(10, 13), skewed=True)
    fill(feed, HOUR + 1, range(13, 20))
    feed.barrier(HOUR + 1)
    room.drain(feed, 4)
    assert room.seal() == 2
    assert manifest(room, HOUR + 1).totals.skewed == 3
    assert Counter(row["_skewed"] for row in rows(room, HOUR + 1)) == {True: 3, False: 7}


def test_copies_that_dedup_removed_are_in_the_books() -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(10))
    for _ in range(4):
        feed.duplicate(HOUR)
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    found = manifest(room, HOUR)
    assert (found.totals.consumed, found.totals.rows, found.totals.duplicates, found.complete) == (14, 10, 4, True)


def test_repeats_of_a_dedup_crash_are_dropped() -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(50))
    feed.barrier(HOUR)
    fill(feed, HOUR + 1, range(50, 60))
    feed.out += feed.out[20:]  # everything since record 20 again, the barrier too
    at = len(feed.out)
    feed.barrier(HOUR + 1)
    assert len(feed.out) == at + 1
    room.drain(feed, 17)
    assert room.seal() == 2
    assert [manifest(room, HOUR + n).totals.rows for n in range(2)] == [50, 10]
    assert all(manifest(room, HOUR + n).complete for n in range(2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 5},
        {"seen": 3},
        {"carried": 2},
        {"tallies": {}},
    ],
)
def test_books_that_do_not_balance_are_flagged_or_held(wrong: dict[str, Any]) -> None:
    for audit in ("flag", "hold"):
        room, feed = Room(SCHEMA, declared(TYPE, SCHEMA, audit=audit)), Feed()
        fill(feed, HOUR, range(10))
        feed.barrier(HOUR, **wrong)
        room.drain(feed)
        assert room.seal() == (audit == "flag")
        if audit == "flag":
            found = manifest(room, HOUR)
            assert not found.complete
            assert not found.audit.equal
            assert found.audit.faults
            assert found.totals.rows == 10


def test_two_schema_versions_interleaved_make_one_schema() -> None:
    newer = wire_schema(TYPE, 2, [*PAYLOAD, {"name": "extra", "type": ["null", "string"], "default": None}], version=2)
    room, feed = Room(SCHEMA, newer, declared(TYPE, newer)), Feed()
    for number in range(40):
        schema, more = (newer, {"extra": "x"}) if number % 2 else (SCHEMA, {})
        feed.record(value_of(schema, number, {"user": "u", "ms": number, **more}), HOUR)
    feed.barrier(HOUR)
    room.drain(feed, 13)
    assert room.seal() == 1
    stored = rows(room, HOUR)
    assert Counter((row["_schema_id"], row["extra"]) for row in stored) == {(1, None): 20, (2, "x"): 20}
    assert manifest(room, HOUR).schema.id == 2
    assert len(manifest(room, HOUR).files) == 1


def test_a_schema_that_nobody_knows_yet_holds_the_partition() -> None:
    newer = wire_schema(TYPE, 2, PAYLOAD, version=2)
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(3))
    feed.record(value_of(newer, 3, {"user": "u", "ms": 3}), HOUR)
    feed.barrier(HOUR)
    with pytest.raises(RegistryUnavailable):
        room.drain(feed)
    assert room.store.files == {}
    room.catalogue.offer([(entry_key(newer), newer)])
    room.drain(feed)
    assert room.seal() == 1
    assert manifest(room, HOUR).totals.rows == 4


def test_a_schema_of_another_type_is_poison() -> None:
    other = wire_schema("t.other", 9, PAYLOAD)
    room, feed = Room(other, *ONE), Feed()
    fill(feed, HOUR, range(3))
    feed.record(value_of(other, 3, {"user": "u", "ms": 3}), HOUR)
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    found = manifest(room, HOUR)
    assert (found.totals.rows, found.totals.poisoned, found.complete) == (3, 1, True)
    (refused,) = room.outbox.refused
    assert (refused.reject.code, refused.reject.topic, refused.reject.offset) == ("schema_mismatch", f"raw.{TYPE}", 4)
    assert refused.value == feed.out[4].value


# -- crashes and races


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking whole worlds takes minutes


def world(seed: int = 1, count: int = 100) -> list[Feed]:
    rng, feeds = random.Random(seed), [Feed(0), Feed(1)]
    numbers = iter(range(10**6))
    for hour in range(HOUR, HOUR + 3):
        for feed in feeds:
            for _ in range(rng.randrange(count)):
                number = next(numbers)
                time_us = hour * 3_600_000_000 + rng.randrange(1000)
                feed.record(value_of(SCHEMA, number, {"user": f"u{rng.randrange(9)}", "ms": number}, time_us), hour + rng.randrange(2))
            feed.barrier(hour)
    return feeds


@given(st.integers(0, 5), st.integers(5, 400), st.integers(5, 400))
@settings(deadline=None, max_examples=8, phases=QUICK)
def test_a_replay_into_an_empty_lake_gives_the_same_files(seed: int, one: int, two: int) -> None:
    """Chains cut in other places, another worker, another day: byte for byte the same Parquet files under the same names."""
    feeds, stores = world(seed), []
    for step, now in ((one, 2e9), (two, 3e9)):
        room = Room(*TWO, now=now, writer=f"w{step}")
        for feed in feeds:
            room.drain(feed, step)
        assert room.seal() == 3
        stores.append(room.store)
    assert files(stores[0], parquet=True) == files(stores[1], parquet=True)
    assert len(files(stores[0], parquet=True)) == 3


class Crash(Exception):
    """kill -9, as far as a test within one process can."""


class CrashingStore(DictStore):
    """Dies after so many writes, before or after the last one took effect."""

    def __init__(self, files: dict[str, bytes], left: int, *, after: bool) -> None:
        super().__init__()
        self.files, self.left, self.after = files, left, after

    def create(self, path: str, data: bytes) -> bool:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Crash
        done = super().create(path, data)
        if self.left < 0:
            raise Crash
        return done


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(20, 300)), max_size=12))
@settings(deadline=None, max_examples=20, phases=QUICK)
def test_a_crash_at_any_write_changes_nothing(crashes: list[tuple[int, bool, int]]) -> None:
    feeds = world()
    calm = Room(*TWO)
    for feed in feeds:
        calm.drain(feed, 100)
    calm.seal()
    lake: dict[str, bytes] = {}
    for left, after, step in [*crashes, (10**6, False, 100)]:
        room = Room(*TWO, store=CrashingStore(lake, left, after=after))
        try:
            for feed in feeds:
                room.drain(feed, step)
            room.seal()
        except Crash:
            continue
    assert files(room.store, parquet=True) == files(calm.store, parquet=True)
    from sinks.fsck import fsck

    assert fsck(room.store) == []


def test_two_workers_sealing_the_same_hour_make_one() -> None:
    """Both have read the books; one decides; the other publishes what was decided, and presents the same bytes."""
    feeds, store = world(), DictStore()
    for feed in feeds:
        Room(*TWO, store=store).drain(feed, 90)
    one, two = Room(*TWO, store=store, now=2e9, writer="one"), Room(*TWO, store=store, now=2.1e9, writer="two")
    for room in (one, two):
        room.sealer.adopt(TYPE)
        room.sealer._load(room.sealer._lines[TYPE])
        for book in room.sealer._lines[TYPE].books.values():
            room.sealer._read(TYPE, book)
    for hour in range(HOUR, HOUR + 3):
        before = files(store)
        assert one.sealer._seal(one.sealer._lines[TYPE], hour)
        after = files(store)
        assert two.sealer._seal(two.sealer._lines[TYPE], hour)
        assert files(store) == after != before
    assert {s.manifest_sha256 for s in one.outbox.sealed} == {s.manifest_sha256 for s in two.outbox.sealed}


def test_decided_but_not_presented_is_presented_by_the_next_owner() -> None:
    feeds, store = world(), DictStore()
    room = Room(*TWO, store=store)
    for feed in feeds:
        room.drain(feed)
    room.seal()
    whole = dict(store.files)
    last = layout.hour_folder(TYPE, HOUR + 2)
    store.files = {path: data for path, data in whole.items() if not path.startswith(last)}
    later = Room(*TWO, store=store, now=3e9)
    assert later.seal() == 0
    assert store.files == whole
    assert [sealed.hour for sealed in later.outbox.sealed] == [label(HOUR + 2)]


def test_an_hour_presented_by_another_decision_stops_the_worker() -> None:
    feeds, store = world(), DictStore()
    room = Room(*TWO, store=store)
    for feed in feeds:
        room.drain(feed)
    room.seal()
    path = layout.seal(TYPE, HOUR + 2)
    store.files[path] = store.files[path].replace(b'"revision": 1', b'"revision": 2')
    with pytest.raises(ChainConflict):
        Room(*TWO, store=store).seal()


def test_a_zombie_that_wakes_up_writes_nothing_twice() -> None:
    """It had read 100 records when another worker took over, wrote them and went on."""
    feed, store = Feed(), DictStore()
    fill(feed, HOUR, range(300))
    feed.barrier(HOUR)
    owner, zombie = Room(*ONE, store=store, writer="owner"), Room(*ONE, store=store, writer="zombie")
    asleep = PartitionBuffer(Partition(TYPE, 0), Tip())
    put(asleep, feed.out[:100])
    owner.drain(feed, 150)
    flushed = zombie.flusher.flush(asleep, 0)
    assert not flushed.won
    assert flushed.tip.next == 150
    owner.drain(feed)
    assert owner.seal() == 1
    stored = rows(owner, HOUR)
    assert sorted(row["_event_id"] for row in stored) == sorted(str(uuid.UUID(bytes=event_id(n))) for n in range(300))


def test_a_full_lake_holds_and_loses_nothing() -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(30))
    feed.barrier(HOUR)
    room.store.refuse = LakeUnavailable("no space left on device")
    with pytest.raises(LakeUnavailable):
        room.drain(feed)
    assert room.store.files == {}
    room.store.refuse = None
    room.drain(feed)
    room.store.refuse = LakeUnavailable("no space left on device")
    assert room.seal() == 0
    room.store.refuse = None
    assert room.seal() == 1
    assert manifest(room, HOUR).totals.rows == 30


def test_a_sealer_goes_on_from_its_plan_without_reading_the_whole_chain() -> None:
    room, feed = Room(*ONE), Feed()
    for hour in range(HOUR, HOUR + 5):
        fill(feed, hour, range((hour - HOUR) * 10, (hour - HOUR) * 10 + 8))
        fill(feed, hour + 1, range((hour - HOUR) * 10 + 8, (hour - HOUR) * 10 + 10))
        feed.barrier(hour)
        room.drain(feed)
        assert room.seal() == 1
    plan = decode(Plan, room.store.read(layout.seal(TYPE, HOUR + 4)))
    assert plan.resume[0].entry > 0
    assert [manifest(room, HOUR + n).totals.rows for n in range(5)] == [8, 10, 10, 10, 10]
    assert all(manifest(room, HOUR + n).complete for n in range(5))


def test_an_added_partition_joins_behind_the_sealed_hours() -> None:
    store, feed = DictStore(), Feed(0)
    fill(feed, HOUR, range(5))
    feed.barrier(HOUR)
    room = Room(*ONE, store=store)
    room.drain(feed)
    assert room.seal() == 1
    grown, added = Room(*TWO, store=store), Feed(1, created_in=HOUR)
    fill(feed, HOUR + 1, range(5, 8))
    fill(added, HOUR + 1, range(8, 10))
    for one in (feed, added):
        one.barrier(HOUR + 1)
        grown.drain(one)
    assert grown.seal() == 1
    assert (manifest(grown, HOUR + 1).totals.rows, manifest(grown, HOUR + 1).complete) == (5, True)


def test_a_sealer_sleeps_until_it_is_woken() -> None:
    room, feed = Room(*ONE), Feed()
    room.drain(feed)
    room.seal()
    line = room.sealer._lines[TYPE]
    assert not line.awake
    feed.barrier(HOUR)
    room.drain(feed)
    assert room.sealer.step(1e18) == 0
    room.sealer.wake(TYPE)
    assert room.sealer.step(1e18) == 1
    assert isinstance(room.sealer, Sealer)


def test_a_partition_added_later_is_waited_for() -> None:
    """The worker's catalogue still says one partition, and the topic has two: the hour waits for both, and holds the rows of both."""
    room, old = Room(*ONE), Feed(0)
    fill(old, HOUR, range(3))
    old.barrier(HOUR)
    room.drain(old)
    assert room.seal() == 1
    room.outbox.partitions = 2
    new = Feed(1, created_in=HOUR)
    fill(old, HOUR + 1, range(3, 6))
    old.barrier(HOUR + 1)
    fill(new, HOUR + 1, range(6, 9))
    room.drain(old)
    room.sealer.wake(TYPE)
    assert room.sealer.step(time.monotonic() + 60) == 0
    new.barrier(HOUR + 1)
    room.drain(new)
    room.sealer.wake(TYPE)
    assert room.sealer.step(time.monotonic() + 60) == 1
    found = manifest(room, HOUR + 1)
    assert (found.totals.rows, found.complete) == (6, True)


def test_no_hour_is_sealed_behind_one_that_has_gone() -> None:
    """The lake was put back from an older moment under a running worker: there would be a hole before the hour."""
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(10))
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    fill(feed, HOUR + 1, range(10, 20))
    feed.barrier(HOUR + 1)
    room.drain(feed)
    room.store.remove(layout.seal(TYPE, HOUR))
    room.sealer.wake(TYPE)
    with pytest.raises(ChainConflict, match="older moment"):
        room.sealer.step(time.monotonic() + 60)
    assert room.store.read(layout.seal(TYPE, HOUR + 1)) is None
