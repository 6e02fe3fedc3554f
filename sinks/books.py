"""What the commit chain of one clean partition says of the hours that are not sealed yet: parts, counts, barriers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hourmark.event import CleanBarrier, Tally

from .manifest import Account, CommitEntry, HourCount, LastBarrier, PartRef, Resume


class Books:
    """Feed it the chain's entries in order, from `next` on. Hours up to `sealed` are done with and ignored."""

    def __init__(self, partition: int, sealed: int | None = None, resume: Resume | None = None) -> None:
        self.partition = partition
        self.next = resume.entry if resume else 0
        self.closed: int | None = None
        self.floor: int | None = None
        self.parts: dict[int, list[PartRef]] = {}
        self.counts: dict[int, HourCount] = {}
        self._barriers: list[CleanBarrier] = []
        self._last = resume.last if resume else None
        self._sealed = sealed
        self._mentions: dict[int, int] = {}  # entry → newest hour that it speaks of

    def absorb(self, entry: CommitEntry) -> None:
        """Take in the entry that starts at `next`."""
        if self.closed is None and self._sealed is None:
            self._find_floor(entry)
        self.next = entry.next
        for part in entry.parts:
            if self._open(part.hour):
                self.parts.setdefault(part.hour, []).append(part)
        for hour, count in entry.hours.items():
            if self._open(hour):
                total = self.counts.setdefault(hour, HourCount())
                total.written += count.written
                total.poisoned += count.poisoned
                total.skewed += count.skewed
        for barrier in entry.barriers:
            if self._open(barrier.hour):
                self._barriers.append(barrier)
            elif self._last is None or (self._last.source, self._last.offset) < (barrier.source, barrier.offset):
                self._last = _last(barrier)
        if entry.closed is not None:
            self.closed = entry.closed
        self._mentions[entry.first] = max([*entry.hours, *(barrier.hour for barrier in entry.barriers)], default=-1)

    def _open(self, hour: int) -> bool:
        return self._sealed is None or hour > self._sealed

    def _find_floor(self, entry: CommitEntry) -> None:
        """The first hour of this partition: that of its oldest record, else the one after its first barrier.

        Independent of how the chain is cut into entries: behind the first barrier(H) there is nothing of H or earlier.
        """
        hours = list(entry.hours)
        if entry.barriers:
            first = entry.barriers[0]
            hours += [first.hour + 1, *(hour for hour, tally in first.tallies.items() if tally.consumed)]
        if hours:
            self.floor = min(hours) if self.floor is None else min(self.floor, *hours)

    def account(self, hour: int) -> tuple[Account, list[str]]:
        """The audited books of a closed hour, and every rule that does not hold."""
        before, barrier = self._closing(hour)
        tally, count = barrier.tallies.get(hour, Tally()), self.counts.get(hour, HourCount())
        account = Account(
            raw_partition=self.partition,
            from_offset=barrier.first,
            barrier_offset=barrier.offset,
            barrier_append_time=iso(barrier.append_ms),
            consumed=tally.consumed,
            forwarded=tally.forwarded,
            written=count.written,
            poisoned=count.poisoned,
            duplicates=tally.duplicates,
            rejected=tally.rejected,
            skewed=count.skewed,
        )
        return account, [f"partition {self.partition}: {fault}" for fault in _faults(account, before, barrier)]

    def _closing(self, hour: int) -> tuple[LastBarrier | None, CleanBarrier]:
        before = self._last
        for barrier in self._barriers:
            if barrier.hour >= hour:
                return before, barrier
            before = _last(barrier)
        raise AssertionError(f"hour {hour} is not closed on partition {self.partition}")

    def resume_after(self, hour: int) -> Resume:
        """Where a later reader must start to know all about the hours after `hour`."""
        entry = min((first for first, newest in self._mentions.items() if newest > hour), default=self.next)
        last = self._last
        for barrier in self._barriers:
            if barrier.hour <= hour:
                last = _last(barrier)
        return Resume(entry=entry, last=last)

    def forget(self, hour: int) -> None:
        """The hour and all before it are sealed."""
        self._last = self.resume_after(hour).last
        self._sealed = hour
        self._barriers = [barrier for barrier in self._barriers if barrier.hour > hour]
        self._mentions = {first: newest for first, newest in self._mentions.items() if newest > hour}
        for done in [known for known in self.counts if known <= hour]:
            del self.counts[done]
        for done in [known for known in self.parts if known <= hour]:
            del self.parts[done]


def _last(barrier: CleanBarrier) -> LastBarrier:
    return LastBarrier(source=barrier.source, offset=barrier.offset, left=barrier.left)


def _faults(account: Account, before: LastBarrier | None, barrier: CleanBarrier) -> Iterable[str]:
    """Delivery.md §5, rule by rule."""
    if account.consumed != account.forwarded + account.duplicates + account.rejected:
        parts = f"forwarded {account.forwarded} + duplicates {account.duplicates} + rejected {account.rejected}"
        yield f"consumed {account.consumed}, but {parts}"
    if account.forwarded != account.written + account.poisoned:
        yield f"forwarded {account.forwarded}, but written {account.written} + poisoned {account.poisoned}"
    if not barrier.balanced():
        yield f"the barrier at raw offset {barrier.offset} does not account for its interval"
    continues = before is not None and before.source == barrier.source
    start, carried = (before.offset + 1, before.left) if continues and before is not None else (0, 0)
    if barrier.first != start:
        yield f"the interval before raw offset {barrier.offset} starts at {barrier.first}, not at {start}"
    if barrier.carried != carried:
        yield f"the barrier at raw offset {barrier.offset} carries {barrier.carried} records, {carried} were left to it"


def iso(ms: float) -> str:
    """UTC with milliseconds, for documents."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
