"""Whether copies say what the first one said: compared on a sample, since the index keeps no payload.

The sample: of each poll the first 64 duplicates; those whose owner is in the same poll, with the same schema, are compared behind their
envelopes (a resend differs in its attempt and its times). It says that some sender reuses ids for other events, not how many do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final

from hourmark.event import ID_END, Coordinates

from .deduplicator import RawRecord, Slice
from .index import Owners

SAMPLE: Final = 64
_LONGS_BEFORE, _TEXTS, _SCHEMA = 3, 3, slice(1, 5)


def conflicts(slices: Sequence[Slice], claimed: Sequence[range], owners: Owners) -> Counter[str]:
    """Event type → sampled duplicates whose payload is another one than their owner's. `claimed`: as for `decide`."""
    found: Counter[str] = Counter()
    if not owners:
        return found
    by_place = {(part.event_type, part.source, part.partition): part for part in slices}
    starts = [positions.start for positions in claimed]
    for position, owner in islice(owners.items(), SAMPLE):
        number = bisect_right(starts, position) - 1
        part = slices[number]
        if len(claimed[number]) != len(part.records):
            continue  # a barrier or a refused record among them: positions are no places in the slice
        copy, at = part.records[position - starts[number]], Coordinates.unpack(owner)
        first = _at(by_place.get((part.event_type, at.source, at.partition)), at.offset)
        if first is not None and _differ(first.value or b"", copy.value or b""):
            found[part.event_type] += 1
    return found


def payload_start(value: bytes) -> int:
    """Where the owner's fields begin in a framed event, behind the envelope (hourmark.event.ENVELOPE). Raises IndexError when cut short."""
    at = ID_END
    for _ in range(_LONGS_BEFORE):
        at = _varint(value, at)[1]
    for _ in range(_TEXTS):
        at = _text(value, at)
    branch, at = _varint(value, at)  # _install_id
    at = _text(value, at) if branch else at
    branch, at = _varint(value, at)  # _sequence
    at = _varint(value, at)[1] if branch else at
    return _varint(value, at)[1]  # _attempt


def _at(part: Slice | None, offset: int) -> RawRecord | None:
    if part is None or not part.records:
        return None
    place = offset - part.records[0].offset
    return part.records[place] if 0 <= place < len(part.records) else None


def _differ(first: bytes, copy: bytes) -> bool:
    if first[_SCHEMA] != copy[_SCHEMA]:
        return False  # the same event may be written by another version
    try:
        return first[payload_start(first) :] != copy[payload_start(copy) :]
    except IndexError:
        return first != copy  # no event that we know; the sink will say so


def _text(value: bytes, at: int) -> int:
    length, at = _varint(value, at)
    return at + length


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """An Avro int or long (zigzag), and where the next field begins."""
    number = shift = 0
    while True:
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
