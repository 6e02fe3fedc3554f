"""The high-water rule, the hour of a record, and the bounds of memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark.errors import InvariantBroken
from hourmark.event import FLAG_SKEWED, STAMP, CleanBarrier
from hourmark.topics import Partition
from sinks.batches import UNFRAMED, HourlyBatches, PartitionBuffer
from sinks.commits import Tip
from sinks.manifest import Mark

WHERE = Partition("t.thing", 3)


def stamp(offset: int, hour: int = 10, source: int = 1, flags: int = 0) -> bytes:
    return STAMP.pack(1, source, 3, offset, hour * 1000, hour, flags)


def value(offset: int, schema_id: int = 1) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + offset.to_bytes(16, "big") + b"payload"


def barrier(hour: int, offset: int, **extra: Any) -> CleanBarrier:
    facts = {"source": 1, "partition": 3, "append_ms": 0, "first": 0, "seen": 0, "barriers": 1, "carried": 0, "left": 0, "tallies": {}}
    return CleanBarrier(**({"hour": hour, "offset": offset} | facts | extra))


def content(buffer: PartitionBuffer) -> dict[tuple[int, int], list[int]]:
    """(hour, schema) → raw offsets, as they would be written."""
    found: dict[tuple[int, int], list[int]] = {}
    for key, group in buffer.groups.items():
        for run in group.drain():
            for at in range(len(run.ends)):
                data = run.value(at)
                assert int.from_bytes(data[5:21], "big") == run.stamps[at]["offset"]
                found.setdefault(key, []).append(int(run.stamps[at]["offset"]))
    return found


@st.composite
def replays(draw: st.DrawFn) -> list[int]:
    """Raw offsets as they stand on a clean partition: in order, gaps where copies were dropped, and after a crash again from lower down."""
    out: list[int] = []
    position = 0
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, position))
        end = draw(st.integers(start, start + 30))
        out += [offset for offset in range(start, end) if offset % 5]
        position = max(position, end)
    return out


@given(replays(), st.lists(st.integers(1, 20), max_size=10))
def test_high_water_rule_equals_a_set_of_coordinates(offsets: list[int], polls: list[int]) -> None:
    buffer, at = PartitionBuffer(WHERE, Tip()), 0
    for size in [*polls, len(offsets)]:
        chunk = offsets[at : at + size]
        if chunk:
            buffer.add([value(o) for o in chunk], [stamp(o) for o in chunk])
        at += size
    assert buffer.next == len(offsets)
    assert buffer.repeats == len(offsets) - len(set(offsets))
    assert content(buffer).get((10, 1), []) == sorted(set(offsets))
    assert buffer.mark == (Mark(1, max(offsets)) if offsets else None)


@given(st.lists(st.tuples(st.integers(8, 13), st.integers(1, 3), st.booleans()), max_size=60))
def test_every_record_is_in_one_group(records: list[tuple[int, int, bool]]) -> None:
    buffer = PartitionBuffer(WHERE, Tip(closed=9))
    values = [value(n, schema) if framed else b"short" for n, (_, schema, framed) in enumerate(records)]
    if values:
        buffer.add(values, [stamp(n, hour) for n, (hour, _, _) in enumerate(records)])
    expected: Counter[tuple[int, int]] = Counter()
    for hour, schema, framed in records:
        expected[max(hour, 10), schema if framed else UNFRAMED] += 1
    assert {key: group.rows for key, group in buffer.groups.items()} == expected
    assert buffer.misplaced == sum(hour < 10 for hour, _, _ in records)


def test_a_record_behind_its_barrier_goes_to_the_next_hour_flagged() -> None:
    buffer = PartitionBuffer(WHERE, Tip())
    buffer.add([value(0)], [stamp(0)])
    buffer.close(barrier(10, 1))
    buffer.add([value(2), value(3)], [stamp(2, 10), stamp(3, 12)])
    assert sorted(buffer.groups) == [(10, 1), (11, 1), (12, 1)]
    (run,) = buffer.groups[11, 1].drain()
    assert run.stamps[0]["flags"] & FLAG_SKEWED
    assert (buffer.misplaced, buffer.closed, buffer.next) == (1, 10, 4)


def test_a_repeated_barrier_closes_nothing_again() -> None:
    buffer = PartitionBuffer(WHERE, Tip(next=5, mark=Mark(1, 7), closed=10))
    buffer.close(barrier(10, 7))
    buffer.close(barrier(11, 8))
    buffer.close(barrier(11, 8))
    assert ([b.hour for b in buffer.barriers], buffer.repeats, buffer.closed, buffer.next) == ([11], 2, 11, 8)


def test_a_new_incarnation_of_the_raw_topic_starts_below_the_old_offsets() -> None:
    buffer = PartitionBuffer(WHERE, Tip(mark=Mark(1, 500)))
    buffer.add([value(0)], [stamp(0, source=2)])
    assert (buffer.repeats, buffer.mark) == (0, Mark(2, 0))


def test_what_no_dedup_worker_can_have_written_stops_the_sink() -> None:
    with pytest.raises(InvariantBroken):
        PartitionBuffer(WHERE, Tip()).add([value(0)], [STAMP.pack(2, 1, 3, 0, 0, 10, 0)])
    with pytest.raises(InvariantBroken):
        PartitionBuffer(WHERE, Tip()).add([value(0)], [STAMP.pack(1, 1, 4, 0, 0, 10, 0)])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=60))
def test_memory_is_bounded_and_nothing_is_lost(adds: list[tuple[int, int]]) -> None:
    batches, limit = HourlyBatches(2000, 1500), 2000
    offsets, flushed = Counter[int](), Counter[int]()
    tips = {n: Tip() for n in range(4)}
    for number in range(4):
        batches.open(Partition("t.thing", number), tips[number])
    for number, count in adds:
        buffer = batches.get(Partition("t.thing", number))
        assert buffer is not None
        start = offsets[number]
        buffer.add(
            [value(o) for o in range(start, start + count)], [STAMP.pack(1, 1, number, o, 0, 10, 0) for o in range(start, start + count)]
        )
        offsets[number] += count
        for due in batches.due():
            flushed[due.partition.number] += sum(len(found) for found in content(due).values())
            batches.open(due.partition, Tip(next=due.next, mark=due.mark))
        assert batches.bytes <= limit
    held = {b.partition.number: sum(len(found) for found in content(b).values()) for b in batches}
    assert all(flushed[n] + held[n] == offsets[n] for n in range(4))


def test_due_gives_up_on_what_cannot_be_flushed() -> None:
    batches = HourlyBatches(1, 1 << 20)
    buffer = batches.open(WHERE, Tip())
    buffer.add([value(0)], [stamp(0)])
    assert list(batches.due()) == [buffer]
