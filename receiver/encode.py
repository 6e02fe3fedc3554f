"""Events of one type, encoded: whatever does not fit the declaration becomes a fault, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hourmark.errors import EventTooLarge, InvalidEnvelope, Rejected, SchemaMismatch
from hourmark.topics import partition_of

from .catalogue import Plan
from .codec import VALUE_MAX
from .envelope import Batch
from .logical import MAX_MICROS, MIN_MICROS, micros_of

Fault = Callable[[int, Rejected], None]
Head = tuple[bytes, int, int | None, int]


class Encoded(NamedTuple):
    """Parallel lists: position in the request, value, key and partition of each event that can be stored."""

    indexes: list[int]
    values: list[bytes]
    keys: list[bytes]
    partitions: list[int]


def encode(batch: Batch, plan: Plan, indexes: Sequence[int], common: bytes, fault: Fault) -> Encoded:
    """`common`: the sender's fields as codec.sender_bytes gives them. Whatever cannot be stored goes to `fault`."""
    events, ids, read, keyed = batch.events, batch.ids, plan.codec.read, plan.key
    kept = list(indexes)
    try:
        payloads = [read(events[index].payload) for index in kept]  # type: ignore[union-attr]  # those without an event have a fault
    except SchemaMismatch:
        kept, payloads = _readable(batch, plan, kept, fault)
    if keyed is not None and any(payload[keyed] is None for payload in payloads):
        kept, payloads = _keyed(fault, keyed, kept, payloads)
    times = [micros_of(events[index].time) for index in kept]  # type: ignore[union-attr]  # as above
    heads = [
        (ids[index], moment, event.seq, event.attempt)  # type: ignore[union-attr]  # as above
        for index, moment, event in zip(kept, times, map(events.__getitem__, kept), strict=True)
    ]
    if times and not (min(times) >= MIN_MICROS and max(times) <= MAX_MICROS):
        kept, heads, payloads = _within_years(fault, kept, heads, payloads)
    try:
        values = plan.codec.write(common, heads, payloads)
    except Exception:  # one of them is more than fastavro can write: find it, the others go on
        kept, heads, payloads = _writable(fault, plan, kept, heads, payloads)
        values = plan.codec.write(common, heads, payloads)
    keys = [head[0] for head in heads] if keyed is None else [str(payload[keyed]).encode() for payload in payloads]
    if values and max(map(len, values)) > VALUE_MAX:
        kept, values, keys = _small(fault, kept, values, keys)
    count = plan.partitions
    return Encoded(kept, values, keys, [partition_of(key, count) for key in keys])


Parts = tuple[list[int], list[Head], list[dict[str, Any]]]


def _readable(batch: Batch, plan: Plan, indexes: Sequence[int], fault: Fault) -> tuple[list[int], list[dict[str, Any]]]:
    """Once more, one by one, when some payload does not fit."""
    kept: list[int] = []
    payloads: list[dict[str, Any]] = []
    for index in indexes:
        event = batch.events[index]
        assert event is not None
        try:
            payloads.append(plan.codec.read(event.payload))
            kept.append(index)
        except SchemaMismatch as exc:
            fault(index, exc)
    return kept, payloads


def _keyed(fault: Fault, keyed: str, kept: list[int], payloads: list[dict[str, Any]]) -> tuple[list[int], list[dict[str, Any]]]:
    good = []
    for position, (index, payload) in enumerate(zip(kept, payloads, strict=True)):
        if payload[keyed] is not None:
            good.append(position)
        else:
            fault(index, SchemaMismatch("the key of the event type may not be null", path=f"/payload/{keyed}"))
    return [kept[p] for p in good], [payloads[p] for p in good]


def _within_years(fault: Fault, kept: list[int], heads: list[Head], payloads: list[dict[str, Any]]) -> Parts:
    good = []
    for position, (index, head) in enumerate(zip(kept, heads, strict=True)):
        if MIN_MICROS <= head[1] <= MAX_MICROS:
            good.append(position)
        else:
            fault(index, InvalidEnvelope("the time lies outside the years 1 to 9999", path="/time"))
    return [kept[p] for p in good], [heads[p] for p in good], [payloads[p] for p in good]


def _writable(fault: Fault, plan: Plan, kept: list[int], heads: list[Head], payloads: list[dict[str, Any]]) -> Parts:
    good = []
    for position, (index, payload) in enumerate(zip(kept, payloads, strict=True)):
        try:
            plan.codec.check(payload)
            good.append(position)
        except SchemaMismatch as exc:
            fault(index, exc)
    return [kept[p] for p in good], [heads[p] for p in good], [payloads[p] for p in good]


def _small(fault: Fault, kept: list[int], values: list[bytes], keys: list[bytes]) -> tuple[list[int], list[bytes], list[bytes]]:
    good = []
    for position, (index, value) in enumerate(zip(kept, values, strict=True)):
        if len(value) <= VALUE_MAX:
            good.append(position)
        else:
            fault(index, EventTooLarge(f"encoded, the event has {len(value)} bytes; at most {VALUE_MAX} are taken"))
    return [kept[p] for p in good], [values[p] for p in good], [keys[p] for p in good]
