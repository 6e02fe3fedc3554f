"""What blocks an hour is named by its partition and by the first place, from the sink backwards, where something waits."""

from __future__ import annotations

import pytest

from sinks.blocking import Flow, Reason, Situation, blocks
from sinks.watermarks import line_of
from tests.sinks.fakes import HOUR, Feed
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import TWO, TYPE, fill


@pytest.fixture
def room() -> Room:
    """HOUR is sealed; partition 0 has closed the next one, partition 1 has not, and its chain ends at clean offset 3."""
    room = Room(*TWO)
    for feed in (Feed(0), Feed(1)):
        fill(feed, HOUR, range(feed.partition * 10, feed.partition * 10 + 1))
        feed.barrier(HOUR)
        if not feed.partition:
            feed.barrier(HOUR + 1)
        room.drain(feed)
    assert room.seal() == 1
    return room


@pytest.mark.parametrize(
    ("flow", "held", "reason"),
    [
        (Flow(), (), Reason.NO_BARRIER),
        (Flow(end=3, owned=True, dedup_owned=True, dedup_lag=0), (), Reason.NO_BARRIER),
        (Flow(end=3, owned=False, dedup_owned=True, dedup_lag=0), (), Reason.NO_BARRIER),
        (Flow(end=9, owned=False, dedup_owned=True, dedup_lag=0), ("lake_unavailable",), Reason.NO_OWNER),
        (Flow(end=9, owned=True, dedup_owned=True, dedup_lag=0), ("lake_unavailable",), Reason.HELD),
        (Flow(end=9, owned=True, dedup_owned=True, dedup_lag=0), (), Reason.SINK_BEHIND),
        (Flow(end=3, owned=True, dedup_owned=True, dedup_lag=7), (), Reason.DEDUP_BEHIND),
        (Flow(end=3, owned=True, dedup_owned=False, dedup_lag=7), (), Reason.NO_DEDUP_OWNER),
    ],
)
def test_why_a_partition_has_not_closed_the_hour(room: Room, flow: Flow, held: tuple[str, ...], reason: Reason) -> None:
    (found,) = blocks(line_of(room.store, TYPE), HOUR + 1, Situation(HOUR + 5, {1: flow}, held))
    assert (found.partition, found.reason) == (1, reason)


def test_a_partition_that_wrote_nothing_is_named_when_its_existence_is_known() -> None:
    room, feed = Room(*TWO), Feed(0)
    feed.barrier(HOUR)
    room.drain(feed)
    (found,) = blocks(line_of(room.store, TYPE, 2), HOUR, Situation(HOUR, {}))
    assert (found.partition, found.reason) == (1, Reason.NO_BARRIER)


def test_hours_that_wait_for_themselves_and_for_others(room: Room) -> None:
    line, slow = line_of(room.store, TYPE), Feed(1)
    assert [b.reason for b in blocks(line, HOUR + 9, Situation(HOUR + 5))] == [Reason.NOT_ENDED]
    fill(slow, HOUR, range(10, 11))
    slow.barrier(HOUR)
    slow.barrier(HOUR + 1, seen=5)
    room.drain(slow)
    line = line_of(room.store, TYPE)
    (audit,) = blocks(line, HOUR + 1, Situation(HOUR + 5))
    assert (audit.partition, audit.reason) == (None, Reason.AUDIT_HELD)
    (seals,) = blocks(line, HOUR + 1, Situation(HOUR + 5, {0: Flow(owned=False)}))
    assert (seals.partition, seals.reason) == (0, Reason.NO_OWNER)
    slow.barrier(HOUR + 2)
    room.drain(slow)
    (first, *_rest) = blocks(line_of(room.store, TYPE), HOUR + 2, Situation(HOUR + 5))
    assert (first.partition, first.reason) == (0, Reason.NO_BARRIER)
