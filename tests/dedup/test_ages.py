"""A duplicate's id says how old its first copy can be."""

from __future__ import annotations

from uuid import UUID, uuid4

from dedup.ages import age_s, ages
from dedup.deduplicator import Slice
from dedup.index import Owners
from hourmark.event import frame
from hourmark_client.ids import EventIds
from tests.dedup.records import Record

MADE_MS = 1_700_000_000_000
BOUNDS = (1.0, 60.0)


def value(event_id: UUID) -> bytes:
    return frame(1) + event_id.bytes + b"rest"


def made_at(ms: int) -> UUID:
    return UUID(int=ms << 80 | 7 << 76 | 2 << 62 | 12345)


def test_age_is_from_the_making_of_the_id_to_the_copy() -> None:
    assert age_s(value(made_at(MADE_MS)), MADE_MS + 90_500) == 90.5
    assert age_s(value(made_at(MADE_MS)), MADE_MS - 5) == 0.0  # the sender's clock is ahead
    assert age_s(value(uuid4()), MADE_MS) is None


def test_ids_of_our_client_tell_their_age() -> None:
    event_id = UUID(EventIds()())
    made = int.from_bytes(event_id.bytes[:6], "big")
    assert age_s(value(event_id), made + 2_000) == 2.0


def test_sums_by_event_type_also_with_a_barrier_among_the_records() -> None:
    one = [Record(n, MADE_MS + 1_000 * n, value=value(made_at(MADE_MS))) for n in range(3)]
    barrier = Record(1, MADE_MS + 500, value=None)
    other = [Record(0, MADE_MS, value=value(made_at(MADE_MS))), barrier, Record(2, MADE_MS + 70_000, value=value(made_at(MADE_MS)))]
    slices = [Slice("a.b", 1, 0, one), Slice("c.d", 1, 0, other)]
    owners = Owners({1: b"", 2: b"", 4: b""})
    found, undated = ages(slices, [range(3), range(3, 5)], owners, BOUNDS)
    assert (found["a.b"].counts, found["a.b"].total) == ([1, 1, 0], 3.0)
    assert (found["c.d"].counts, found["c.d"].total) == ([0, 0, 1], 70.0)
    assert not undated
    odd = [Record(0, MADE_MS, value=value(uuid4()))]
    assert ages([Slice("a.b", 1, 0, odd)], [range(1)], Owners({0: b""}), BOUNDS) == ({}, {"a.b": 1})
