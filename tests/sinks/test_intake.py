"""Polls into buffers: by columns or message by message, the buffers hold the same."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from hourmark.event import STAMP, STAMP_HEADER, CleanBarrier, clean_barrier_headers
from hourmark.topics import Partition
from sinks import intake
from sinks.batches import HourlyBatches, PartitionBuffer
from sinks.commits import Tip
from sinks.intake import Intake

TYPES = ("a.thing", "b.thing")
KINDS = st.sampled_from(["event"] * 12 + ["barrier", "foreign", "empty", "more headers", "gap", "another schema"])


def message(partition: Partition, offset: int, value: bytes | None, headers: Any) -> Message:
    make: Any = Message  # the stubs do not know that a message can be made
    made: Message = make(topic=f"clean.{partition.event_type}", partition=partition.number, offset=offset, value=value, headers=headers)
    return made


def event(partition: Partition, offset: int, kind: str) -> Message:
    stamp = (STAMP_HEADER, STAMP.pack(1, 1, partition.number, offset, 0, 10 + offset // 20, 0))
    value = b"\0" + (2 if kind == "another schema" else 1).to_bytes(4, "big") + offset.to_bytes(16, "big") + b"payload"
    if kind == "barrier":
        facts = {"hour": offset // 20, "source": 1, "partition": partition.number, "offset": offset, "append_ms": 0, "first": 0}
        barrier = CleanBarrier(**facts, seen=0, barriers=1, carried=0, left=0, tallies={})
        return message(partition, offset, None, clean_barrier_headers(barrier))
    if kind == "foreign":
        return message(partition, offset, value, [("x", b"y")])
    if kind == "empty":
        return message(partition, offset, b"", [stamp])
    return message(partition, offset, value, [stamp, ("trace", b"t")] if kind == "more headers" else [stamp])


def content(buffer: PartitionBuffer) -> Any:
    groups = {
        key: [(run.value(at), run.stamps[at].tobytes()) for run in group.drain() for at in range(len(run.ends))]
        for key, group in sorted(buffer.groups.items())
    }
    return groups, buffer.next, buffer.closed, buffer.mark, buffer.barriers, buffer.foreign, buffer.repeats, buffer.misplaced, buffer.bytes


def opened() -> HourlyBatches:
    batches = HourlyBatches(1 << 30, 1 << 30)
    for name in TYPES:
        for number in (0, 1):
            batches.open(Partition(name, number), Tip())
    return batches


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 2), st.lists(KINDS, min_size=1, max_size=90)), max_size=12))
def test_by_columns_as_message_by_message(polled: list[tuple[str, int, list[str]]]) -> None:
    positions: dict[Partition, int] = {}
    messages = []
    for name, number, kinds in polled:
        partition = Partition(name, number)
        for kind in kinds:
            offset = positions.get(partition, 0) + (kind == "gap")
            positions[partition] = offset + 1
            messages.append(event(partition, offset, kind))
    quick, slow = opened(), opened()
    gaps: set[Partition] = set()
    Intake(slow)._one_by_one(messages, gaps)
    assert Intake(quick).take(messages) == gaps
    assert [content(buffer) for buffer in quick] == [content(buffer) for buffer in slow]


def test_a_poll_of_events_is_not_read_message_by_message(monkeypatch: pytest.MonkeyPatch) -> None:
    where = Partition(TYPES[0], 0)
    messages = [event(where, offset, "event") for offset in range(5000)]
    messages[2000] = event(where, 2000, "barrier")
    looked_at: list[int] = []
    monkeypatch.setattr(Intake, "_one_by_one", lambda _self, messages, _gaps: looked_at.append(len(messages)))
    Intake(opened()).take(messages[:2000])
    assert not looked_at
    batches = opened()
    batches.open(where, Tip(next=0))
    Intake(batches).take(messages[:3000])
    assert looked_at[0] <= intake.ODD_AMONG
