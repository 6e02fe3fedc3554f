"""What becomes of each polled raw record: forwarded, duplicate, rejected or barrier; which hour it belongs to; what the hours add up to.

Pure: no I/O, no clock. The same records, owners and state give the same outcome, so a replay from any committed state repeats it exactly.

    hour(r) = max(hour_of(r.append_time), closed + 1)    closed: hour of the newest valid barrier before r in its partition (none: -inf)

Both terms differ → the record is skewed. A barrier is valid when its own append time is at or after the end of its hour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

import msgspec

from hourmark.event import (
    FLAG_ECHO,
    FLAG_SKEWED,
    FLAG_UNCHECKED,
    ID_END,
    ID_START,
    STAMP,
    STAMP_HEADER,
    STAMP_VERSION,
    CleanBarrier,
    Headers,
    RawBarrier,
    Tally,
    clean_barrier_headers,
    read_raw_barrier,
)
from hourmark.hours import Hours

from .index import HOURS_A_DAY, OWNER_BYTES, RECORD_BYTES, Claims, Owners, id_hasher

NOT_FRAMED: Final = "invalid_envelope"
_append_time: Final[Callable[[RawRecord], int]] = attrgetter("timestamp")


class RawRecord(Protocol):
    """What the decisions need of a polled record. `timestamp`: the broker's append time, ms since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Slice(NamedTuple):
    """The records of one raw partition in one poll, in offset order, without gaps."""

    event_type: str
    source: int
    partition: int
    records: Sequence[RawRecord]


class PartitionState(msgspec.Struct):
    """All that is known of a raw partition below `next_offset`. Never changed once it is handed out.

    `closed`: hour of the newest valid barrier, None before the first. `first`, `seen`, `barriers`, `carried`: of the interval since that
    barrier, as in CleanBarrier. `tallies`: of the hours still open.
    """

    closed: int | None = None
    first: int = 0
    seen: int = 0
    barriers: int = 0
    carried: int = 0
    tallies: dict[int, Tally] = {}

    def copy(self) -> PartitionState:
        return PartitionState(
            self.closed, self.first, self.seen, self.barriers, self.carried, {hour: copy(tally) for hour, tally in self.tallies.items()}
        )


CleanRecord = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers of a record for the clean partition: an event with its stamp, or a barrier (null value)."""


class Outcome(NamedTuple):
    """What one slice came to: records for clean in raw order, the refused ones, the state after it, and the sums of the slice.
    `echoes`: how many of the forwarded were settled long ago."""

    state: PartitionState
    clean: Collection[CleanRecord]
    rejected: list[RawRecord]
    total: Tally
    closed_hours: tuple[int, ...]
    echoes: int = 0


def is_claimable(value: bytes | None) -> bool:
    """True for a framed event, which has an id to claim; everything else is a barrier or goes to `rejected`, unclaimed."""
    return value is not None and len(value) >= ID_END and value[0] == 0


class Deduplicator:
    """`secret`: key of the id hashes. `hours`: the platform's clock face."""

    def __init__(self, hours: Hours, secret: bytes) -> None:
        self._hours, self._secret = hours, secret
        self._hashers: dict[str, Callable[[bytes], bytes]] = {}

    def claims(self, part: Slice, state: PartitionState | None = None) -> Claims:
        """The claims of a slice: one per claimable record, in offset order. `state`: before it, as for `decide`.

        A claim's day is that of the hour the record belongs to. So once a partition has closed the last hour of a day and committed that,
        no record of it is claimed for that day any more, whatever the broker's clock says.
        """
        if not part.records:
            return Claims(0, b"")
        hashed = self._hashers.get(part.event_type)
        if hashed is None:
            hashed = self._hashers[part.event_type] = id_hasher(self._secret, part.event_type)
        base = part.source << 56 | part.partition << 40
        parts = [
            hashed(value[ID_START:ID_END]) + (base | record.offset).to_bytes(OWNER_BYTES, "big")
            for record in part.records
            if (value := record.value) is not None and len(value) >= ID_END and value[0] == 0  # is_claimable, without the call
        ]
        times, hours = set(map(_append_time, part.records)), self._hours
        floor = 0 if state is None or state.closed is None else hours.start_ms(state.closed + 1)
        low, high = max(min(times), floor), max(*times, floor)  # a valid barrier opens no hour after its own append time
        one_day = hours.of(low) // HOURS_A_DAY == hours.of(high) // HOURS_A_DAY
        return Claims(high, b"".join(parts), () if one_day else self._times(part, floor))

    def _times(self, part: Slice, floor: int) -> list[int]:
        found = []
        for record in part.records:
            if is_claimable(record.value):
                found.append(max(record.timestamp, floor))
            elif record.value is None and (barrier := read_raw_barrier(record.headers)) is not None:
                end = self._hours.end_ms(barrier.hour)
                floor = max(floor, end) if record.timestamp >= end else floor
        return found

    def decide(self, state: PartitionState, part: Slice, owners: Owners, claimed: range, *, unchecked: bool = False) -> Outcome:
        """What the slice comes to after `state`. `owners`: the index's answer to the whole batch; `claimed`: the positions of this
        slice's claims in it. `unchecked`: nothing was claimed in fact; everything is forwarded and flagged."""
        decision = _Decision(self._hours, state, part, unchecked)
        echoes = bool(owners.echoes) and not owners.echoes.isdisjoint(claimed)
        if echoes or len(claimed) != len(part.records) or not decision.run_of_one_hour(owners, claimed):
            decision.run(owners, claimed.start)
        return decision.outcome()


class CleanRun(Collection[CleanRecord]):
    """What is forwarded of a slice of one hour, made anew by each look: a list of it costs a tenth of the worker's CPU in collections."""

    def __init__(self, part: Slice, owners: Owners, claimed: range, length: int, hour: int, flags: int) -> None:
        self._part, self._owners, self._claimed, self._length = part, owners, claimed, length
        self._hour, self._flags = hour, flags

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[CleanRecord]:
        _, source, partition, records = self._part
        owners, hour, flags, pack, version = self._owners, self._hour, self._flags, STAMP.pack, STAMP_VERSION
        return (
            (r.key, r.value, [(STAMP_HEADER, pack(version, source, partition, r.offset, r.timestamp, hour, flags))])
            for position, r in zip(self._claimed, records, strict=True)
            if position not in owners
        )

    def __contains__(self, record: object) -> bool:
        return any(record == one for one in self)


class _Decision:
    """One pass over a slice. Counts run in local variables and are booked when the hour changes: no look-ups per record."""

    def __init__(self, hours: Hours, state: PartitionState, part: Slice, unchecked: bool) -> None:
        self._hours, self._part = hours, part
        self._base_flags = FLAG_UNCHECKED if unchecked else 0
        self._state = state.copy()
        self._total = Tally()
        self._clean: Collection[CleanRecord] = []
        self._rejected: list[RawRecord] = []
        self._closed_hours: list[int] = []
        self._echoes = 0

    def run_of_one_hour(self, owners: Owners, claimed: range) -> bool:
        """`run` at two thirds of its price for the ordinary slice: framed events only, one hour only. False: it is not, nothing is done."""
        records = self._part.records
        times = set(map(_append_time, records))
        if not times:
            return False
        _, high, hour, flags = self._hour_at(min(times))
        if max(times) >= high:
            return False
        duplicates = sum(map(owners.__contains__, claimed)) if len(claimed) < len(owners) else sum(map(claimed.__contains__, owners))
        self._clean = CleanRun(self._part, owners, claimed, len(records) - duplicates, hour, flags)
        self._book(hour, flags, len(records), duplicates, 0)
        return True

    def run(self, owners: Owners, position: int) -> None:
        """Record by record: barriers, changes of the hour and refused records included."""
        clean = self._clean = []
        pack, append, version = STAMP.pack, clean.append, STAMP_VERSION
        _, source, partition, records = self._part
        low = high = hour = flags = 0  # records appended in [low, high) belong to `hour`
        consumed = duplicates = rejected = 0  # of the run in `hour`, not booked yet
        for record in records:
            value, at = record.value, record.timestamp
            if value is None and (barrier := read_raw_barrier(record.headers)) is not None:
                self._book(hour, flags, consumed, duplicates, rejected)
                consumed = duplicates = rejected = low = high = 0
                self._pass_barrier(barrier, record, append)
                continue
            if not low <= at < high:
                self._book(hour, flags, consumed, duplicates, rejected)
                consumed = duplicates = rejected = 0
                low, high, hour, flags = self._hour_at(at)
            consumed += 1
            if value is None or len(value) < ID_END or value[0] != 0:
                rejected += 1
                self._rejected.append(record)
                continue
            if position in owners:
                duplicates += 1
            else:
                echo = FLAG_ECHO if position in owners.echoes else 0
                self._echoes += bool(echo)
                stamp = pack(version, source, partition, record.offset, at, hour, flags | echo)
                append((record.key, value, [(STAMP_HEADER, stamp)]))
            position += 1
        self._book(hour, flags, consumed, duplicates, rejected)

    def outcome(self) -> Outcome:
        return Outcome(self._state, self._clean, self._rejected, self._total, tuple(self._closed_hours), self._echoes)

    def _hour_at(self, append_ms: int) -> tuple[int, int, int, int]:
        of = self._hours.of(append_ms)
        closed = self._state.closed
        skewed = closed is not None and of <= closed
        hour = closed + 1 if skewed and closed is not None else of
        return self._hours.start_ms(of), self._hours.end_ms(of), hour, self._base_flags | (FLAG_SKEWED if skewed else 0)

    def _book(self, hour: int, flags: int, consumed: int, duplicates: int, rejected: int) -> None:
        if not consumed:
            return
        forwarded = consumed - duplicates - rejected
        tally = self._state.tallies.setdefault(hour, Tally())
        for counted in (tally, self._total):
            counted.consumed += consumed
            counted.forwarded += forwarded
            counted.duplicates += duplicates
            counted.rejected += rejected
            counted.skewed += forwarded if flags & FLAG_SKEWED else 0
        self._state.seen += consumed

    def _pass_barrier(self, barrier: RawBarrier, record: RawRecord, append: Callable[[CleanRecord], None]) -> None:
        """Close every hour up to the barrier's and forward it with their tallies; an invalid or repeated one is only counted."""
        state = self._state
        state.barriers += 1
        if record.timestamp < self._hours.end_ms(barrier.hour):
            return
        if state.closed is not None and barrier.hour <= state.closed:
            return
        final = {hour: tally for hour, tally in sorted(state.tallies.items()) if hour <= barrier.hour}
        still_open = {hour: tally for hour, tally in state.tallies.items() if hour > barrier.hour}
        left = sum(tally.consumed for tally in still_open.values())
        clean = CleanBarrier(
            hour=barrier.hour,
            source=self._part.source,
            partition=self._part.partition,
            offset=record.offset,
            append_ms=record.timestamp,
            first=state.first,
            seen=state.seen,
            barriers=state.barriers,
            carried=state.carried,
            left=left,
            tallies=final,
        )
        append((None, None, clean_barrier_headers(clean)))
        self._closed_hours.append(barrier.hour)
        state.closed, state.tallies, state.carried = barrier.hour, still_open, left
        state.first, state.seen, state.barriers = record.offset + 1, 0, 0


def positions(batch: Sequence[Claims]) -> list[range]:
    """Which positions of the batch the claims of each slice take."""
    found, at = [], 0
    for claims in batch:
        found.append(range(at, at + len(claims.records) // RECORD_BYTES))
        at = found[-1].stop
    return found
