"""Raw records without Kafka, and the plainest possible model of what a deduplicator must do with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hourmark.event import CleanBarrier, Tally, frame, raw_barrier_headers, read_clean_barrier, read_raw_barrier, unpack_stamp
from hourmark.hours import Hours

HOURS = Hours(10, anchor=1_000)
START = HOURS.start_ms(1_000)


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None


def event(offset: int, at: int, number: int) -> Record:
    event_id = number.to_bytes(16, "big")
    return Record(offset, at, frame(7) + event_id + b"payload", key=event_id)


def barrier(offset: int, at: int, hour: int) -> Record:
    return Record(offset, at, None, raw_barrier_headers(hour))


def rubbish(offset: int, at: int, value: bytes | None) -> Record:
    return Record(offset, at, value)


@dataclass
class Model:
    """One partition, record by record, everything kept: hours by the formula of delivery.md, sums by counting at the end."""

    closed: int | None = None
    events: list[tuple[int, int, bool]] = field(default_factory=list)  # offset, hour, skewed: of forwarded ones
    booked: list[tuple[int, int, str, bool]] = field(default_factory=list)  # offset, hour, verdict, skewed: of all data
    barriers: list[CleanBarrier] = field(default_factory=list)

    def read(self, record: Record, duplicate: bool) -> None:
        hour = None if record.value is not None else _barrier_hour(record)
        if hour is not None:
            if record.timestamp >= HOURS.end_ms(hour) and (self.closed is None or hour > self.closed):
                self._close(record, hour)
            return
        of = HOURS.of(record.timestamp)
        into = of if self.closed is None else max(of, self.closed + 1)
        verdict = (
            "rejected" if record.value is None or len(record.value) < 21 or record.value[0] else "duplicate" if duplicate else "forwarded"
        )
        self.booked.append((record.offset, into, verdict, into != of))
        if verdict == "forwarded":
            self.events.append((record.offset, into, into != of))

    def _close(self, record: Record, hour: int) -> None:
        first = self.barriers[-1].offset + 1 if self.barriers else 0
        tallies: dict[int, Tally] = {}
        for _, into, verdict, skewed in self.booked:
            if into <= hour and (self.closed is None or into > self.closed):
                tally = tallies.setdefault(into, Tally())
                tally.consumed += 1
                tally.forwarded += verdict == "forwarded"
                tally.duplicates += verdict == "duplicate"
                tally.rejected += verdict == "rejected"
                tally.skewed += verdict == "forwarded" and skewed
        seen = sum(offset >= first for offset, *_ in self.booked)
        still_open = [into for _, into, *_ in self.booked if into > hour]
        self.barriers.append(
            CleanBarrier(
                hour=hour,
                source=1,
                partition=3,
                offset=record.offset,
                append_ms=record.timestamp,
                first=first,
                seen=seen,
                barriers=record.offset + 1 - first - seen,
                carried=sum(offset < first for offset, into, *_ in self.booked if self.closed is None or into > self.closed),
                left=len(still_open),
                tallies=tallies,
            )
        )
        self.closed = hour


def _barrier_hour(record: Record) -> int | None:
    found = read_raw_barrier(record.headers)
    return found.hour if found else None


def read_clean(records: Iterable[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]) -> list[tuple[int, int, bool] | CleanBarrier]:
    """Clean records as the model speaks of them."""
    out: list[tuple[int, int, bool] | CleanBarrier] = []
    for _key, value, headers in records:
        if value is None:
            found = read_clean_barrier(headers)
            assert found is not None
            out.append(found)
        else:
            stamp = unpack_stamp(dict(headers)["hm"])
            out.append((stamp.offset, stamp.hour, bool(stamp.flags & 1)))
    return out
