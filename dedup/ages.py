"""How old the first copy of a duplicate is, from the duplicate alone: a UUIDv7 carries the moment it was made, and copies share the id.

The index keeps coordinates, not times. The id is made before the first copy is sent, so the age is never too small: a window that covers
it covers the copy. Other ids tell nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Final

from hourmark.event import ID_START
from hourmark.metrics import Sums

from .deduplicator import RawRecord, Slice, is_claimable
from .index import Owners

_VERSION_AT: Final = ID_START + 6
_MADE: Final = slice(ID_START, ID_START + 6)


def ages(
    slices: Sequence[Slice], claimed: Sequence[range], owners: Owners, bounds: Sequence[float]
) -> tuple[dict[str, Sums], Counter[str]]:
    """By event type: ages in seconds of all duplicates that tell one, and how many do not. `claimed`: as for `decide`."""
    found: dict[str, Sums] = {}
    undated: Counter[str] = Counter()
    starts = [positions.start for positions in claimed]
    records: dict[int, Sequence[RawRecord]] = {}
    for position in owners:
        number = bisect_right(starts, position) - 1
        part = slices[number]
        known = records.get(number)
        if known is None:
            known = records[number] = _claimed(part, claimed[number])
        record = known[position - starts[number]]
        age = age_s(record.value or b"", record.timestamp)
        if age is None:
            undated[part.event_type] += 1
            continue
        sums = found.get(part.event_type)
        if sums is None:
            sums = found[part.event_type] = Sums(bounds)
        sums.add(age)
    return found, undated


def age_s(value: bytes, append_ms: int) -> float | None:
    """Seconds between the making of a framed event's id and its append time, 0 where the sender's clock is ahead; None: no UUIDv7."""
    if value[_VERSION_AT] >> 4 != 7:
        return None
    return max(0.0, (append_ms - int.from_bytes(value[_MADE], "big")) / 1000)


def _claimed(part: Slice, positions: range) -> Sequence[RawRecord]:
    """The records that have a position each."""
    if len(positions) == len(part.records):
        return part.records
    return [record for record in part.records if is_claimable(record.value)]
