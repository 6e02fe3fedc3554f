"""Hours sealed by force: nothing lost, nothing doubled, and every reader is told."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from hourmark.hours import Hours
from hourmark.topics import Partition
from sinks import layout
from sinks.force import NotSealed, Order, force
from sinks.fsck import Range, fsck, prove
from sinks.manifest import Plan, decode
from sinks.sweep import standing, waste
from tests.sinks.fakes import HOUR, DictStore, Feed, declared
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import ONE, QUICK, SCHEMA, TWO, TYPE, fill, manifest, rows


def order(hour: int = HOUR, partitions: int = 2) -> Order:
    return Order(TYPE, hour, "ann@ops", "partition 1 is on a dead broker", partitions)


def seal(store: DictStore, hour: int = HOUR, partitions: int = 2) -> Plan:
    return force(store, order(hour, partitions), Hours(), lambda: 2e9)


def ids(room: Room, *hours: int) -> Counter[str]:
    return Counter(row["_event_id"] for hour in hours for row in rows(room, hour))


@given(st.integers(1, 60), st.integers(0, 40), st.integers(0, 40), st.booleans(), st.integers(1, 3))
@settings(deadline=None, max_examples=25, phases=QUICK)
def test_a_stopped_partition_goes_on_after_its_hours_were_forced(step: int, before: int, after: int, flushed: bool, forced: int) -> None:
    """Its events from before the force stand in the forced hour, those from after in the next one, flagged; all exactly once."""
    room, busy, slow = Room(*TWO), Feed(0), Feed(1)
    fill(busy, HOUR, range(50))
    for hour in range(HOUR, HOUR + 4):
        busy.barrier(hour)
    fill(slow, HOUR, range(100, 100 + before))
    fill(slow, HOUR + 1, range(150, 153))  # of the next hour, before the barrier
    room.drain(busy, step)
    if flushed:
        room.drain(slow, step)
    early = ids_in_chain(room) if flushed else 0
    for hour in range(HOUR, HOUR + forced):
        seal(room.store, hour)
        room.seal()
    assert manifest(room, HOUR).forced.missing == [1]  # type: ignore[union-attr]
    assert not manifest(room, HOUR).complete
    assert early == before * flushed
    fill(slow, HOUR, range(200, 200 + after))  # it goes on: the same hour, its barrier, and the next ones
    for hour in range(HOUR, HOUR + 4):
        slow.barrier(hour)
    room.drain(slow, step)
    assert room.seal() == 4 - forced
    hours = range(HOUR, HOUR + 4)
    everything = 50 + before + 3 + after
    assert sum(ids(room, *hours).values()) == len(ids(room, *hours)) == everything
    late = HOUR + forced
    assert [manifest(room, hour).complete for hour in hours] == [False] * forced + [True] * (4 - forced), manifest(room, late).audit
    assert sum(manifest(room, hour).totals.consumed for hour in hours) == everything
    skewed = {row["_event_id"] for row in rows(room, late) if row["_skewed"]}
    of_late = after + (0 if flushed else before) + (3 if forced > 1 and not flushed else 0)
    assert len(skewed) == manifest(room, late).totals.skewed == of_late
    assert fsck(room.store) == []
    for hour in hours:
        assert fsck(room.store, TYPE, hour, hour) == []
    assert prove(room.store, TYPE, Range(clock=Hours()), lambda _what: None) == []


def ids_in_chain(room: Room) -> int:
    """Rows of HOUR that partition 1 has written so far."""
    chain, position, found = room.chain, 0, 0
    while (link := chain.entry(Partition(TYPE, 1), position)) is not None:
        found += sum(count.written for hour, count in link[0].hours.items() if hour == HOUR)
        position = link[0].next
    return found


def test_a_partition_that_never_wrote_anything_does_so_later() -> None:
    room, busy, slow = Room(*TWO), Feed(0), Feed(1)
    fill(busy, HOUR, range(5))
    busy.barrier(HOUR)
    busy.barrier(HOUR + 1)
    room.drain(busy)
    assert room.seal() == 0
    seal(room.store)
    room.seal()
    fill(slow, HOUR, range(10, 14))
    slow.barrier(HOUR)
    slow.barrier(HOUR + 1)
    room.drain(slow)
    assert room.seal() == 1
    assert (manifest(room, HOUR + 1).complete, manifest(room, HOUR + 1).totals.skewed) == (True, 4), manifest(room, HOUR + 1).audit
    assert len(ids(room, HOUR, HOUR + 1)) == 9
    assert fsck(room.store) == []


def test_a_worker_that_runs_notices_that_another_has_sealed() -> None:
    room, busy, slow = Room(*TWO), Feed(0), Feed(1)
    fill(busy, HOUR, range(5))
    busy.barrier(HOUR)
    slow.record(busy.out[1].value or b"", HOUR)
    for feed in (busy, slow):
        room.drain(feed)
    room.seal()
    seal(room.store)
    room.sealer.wake(TYPE)
    room.sealer.step(1e18)
    assert manifest(room, HOUR).forced is not None
    assert [sealed.complete for sealed in room.outbox.sealed] == [False]


def test_the_sweep_keeps_what_is_still_owed() -> None:
    room, busy, slow = Room(*TWO), Feed(0), Feed(1)
    busy.barrier(HOUR)
    room.drain(busy)
    fill(slow, HOUR, range(3))
    room.drain(slow)
    seal(room.store)
    room.seal()
    fill(slow, HOUR, range(3, 6))
    room.drain(slow)
    found = [item.path for item in waste(room.store, Partition(TYPE, 1), standing(room.store, TYPE), 1e18)]
    (kept,) = set(room.store.names(layout.parts(TYPE, 1))) - {path.rpartition("/")[2] for path in found}
    assert (len(found), layout.offset_of(kept)) == (1, 4)
    room.store.files.pop(f"{layout.parts(TYPE, 1)}/{kept}")
    assert {finding.code for finding in fsck(room.store)} == {"missing_file"}


@pytest.mark.parametrize(
    ("hour", "words"),
    [(HOUR - 1, "sealed"), (HOUR, "is sealed"), (HOUR + 1, "nothing blocks"), (HOUR + 2, "in order"), (10**6, "not ended")],
)
def test_what_may_not_be_forced(hour: int, words: str) -> None:
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(3))
    feed.barrier(HOUR)
    room.drain(feed)
    room.seal()
    feed.barrier(HOUR + 1)
    room.drain(feed)
    with pytest.raises(NotSealed, match=words):
        seal(room.store, hour, 1)


def test_an_hour_that_its_audit_holds_can_be_forced() -> None:
    room, feed = Room(SCHEMA, declared(TYPE, SCHEMA, audit="hold")), Feed()
    fill(feed, HOUR, range(3))
    feed.barrier(HOUR, seen=2)
    room.drain(feed)
    assert room.seal() == 0
    assert seal(room.store, partitions=1).forced.missing == []  # type: ignore[union-attr]
    room.seal()
    assert (manifest(room, HOUR).complete, manifest(room, HOUR).totals.rows) == (False, 3)
    assert fsck(room.store) == []


class RacingStore(DictStore):
    """Just before the person's decision is written, the slow partition closes the hour and a worker seals it."""

    def __init__(self, slow: Feed) -> None:
        super().__init__()
        self.slow: Feed | None = slow

    def create(self, path: str, data: bytes) -> bool:
        if path.startswith(layout.SEALS) and self.slow is not None:
            slow, self.slow = self.slow, None
            worker = Room(*TWO, store=self)
            slow.barrier(HOUR)
            worker.drain(slow)
            assert worker.seal() == 1
        return super().create(path, data)


def test_a_worker_that_seals_first_has_decided() -> None:
    busy, slow = Feed(0), Feed(1)
    store = RacingStore(slow)
    room = Room(*TWO, store=store)
    fill(busy, HOUR, range(3))
    busy.barrier(HOUR)
    room.drain(busy)
    plan = seal(store)
    assert (plan.complete, plan.forced) == (True, None)
    assert plan == decode(Plan, store.files[layout.seal(TYPE, HOUR)])
    assert fsck(store) == []


def test_a_sleeping_sealer_finds_an_overdue_hour_that_was_forced() -> None:
    """No partition has closed it, so nothing would ever wake the sealer."""
    room, feed = Room(*ONE), Feed()
    fill(feed, HOUR, range(3))
    feed.barrier(HOUR)
    fill(feed, HOUR + 1, range(3, 5))
    room.drain(feed)
    room.seal()
    line, before = room.sealer._lines[TYPE], counted()
    seal(room.store, HOUR + 1, 1)
    assert not line.awake
    room.sealer.step(1e18)
    assert len(room.outbox.sealed) == 1
    line.look_at = 0.0
    room.sealer.step(1e18)
    assert (manifest(room, HOUR + 1).complete, manifest(room, HOUR + 1).totals.rows) == (False, 2)
    assert counted() == (before[0] + 1, before[1] + 1)
    room.seal()  # a worker that takes over announces it again
    assert counted() == (before[0] + 1, before[1] + 1)


def counted() -> tuple[float, float]:
    """Hours presented, and incomplete ones, on the metrics page."""
    names = ("hourmark_sink_sealed_hours_total", "hourmark_sink_incomplete_hours_total")
    sealed, incomplete = (REGISTRY.get_sample_value(name, {"event_type": TYPE}) or 0.0 for name in names)
    return sealed, incomplete
