"""What the commit chain of one clean partition says of the hours that are not sealed yet: parts, counts, barriers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hourmark.event import CleanBarrier

from .manifest import Account, CommitEntry, HourCount, LastBarrier, Owed, PartRef, Resume

# A partition without books of its own when an hour was sealed owes everything it holds: nothing of it has been presented.
NEW = Resume(entry=0, last=None, owed=Owed(since=0, entry=0, written=0, poisoned=0))


class Books:
    """Feed it the chain's entries in order, from `next` on. Hours up to `sealed` are done with and ignored.

    Except what the partition owes: hours were sealed by force without its barrier. Their later records are counted for the next hour to
    be sealed; in `parts`, they are those whose own hour is not the one they are listed under.
    """

    def __init__(self, partition: int, sealed: int | None = None, resume: Resume | None = None) -> None:
        if resume is None and sealed is not None:
            resume = NEW
        self.partition = partition
        self.next = resume.entry if resume else 0
        self.seam = resume.seam if resume else None
        self.owed = resume.owed if resume else None
        self.closed: int | None = None
        self.floor: int | None = None
        self.parts: dict[int, list[PartRef]] = {}
        self.counts: dict[int, HourCount] = {}
        self._barriers: list[CleanBarrier] = []
        self._last = resume.last if resume else None
        self._sealed = sealed
        self._mentions: dict[int, int] = {}  # entry → newest hour that it speaks of

    @property
    def offset(self) -> int:
        """The clean offset at `next`."""
        return self.next - (self.seam.position if self.seam is not None else 0)

    def absorb(self, entry: CommitEntry) -> None:
        """Take in the entry that starts at `next`."""
        if self.closed is None and self._sealed is None:
            self._find_floor(entry)
        self.next = entry.next
        self._pass_seam(entry)
        owing = self.owed is not None and entry.first >= self.owed.entry
        for part in entry.parts:
            if self._open(part.hour) or owing:
                self.parts.setdefault(self._goes_to(part.hour), []).append(part)
        for hour, count in entry.hours.items():
            if self._open(hour) or owing:
                total = self.counts.setdefault(self._goes_to(hour), HourCount())
                total.written += count.written
                total.poisoned += count.poisoned
                total.skewed += count.skewed if self._open(hour) else count.written
        for barrier in entry.barriers:
            if self._open(barrier.hour) or owing:
                self._barriers.append(barrier)
            elif self._last is None or (self._last.source, self._last.offset) < (barrier.source, barrier.offset):
                self._last = _last(barrier)
        if entry.closed is not None:
            self.closed = entry.closed
        self._mentions[entry.first] = max([*entry.hours, *(barrier.hour for barrier in entry.barriers)], default=-1)

    def _pass_seam(self, entry: CommitEntry) -> None:
        if entry.seam is not None:
            self.seam = entry.seam
            if entry.next == entry.seam.position:
                self._last = None  # the raw log before it is gone: no interval goes on across

    def _open(self, hour: int) -> bool:
        return self._sealed is None or hour > self._sealed

    def _goes_to(self, hour: int) -> int:
        return hour if self._sealed is None else max(hour, self._sealed + 1)

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

    def has_closed(self, hour: int) -> bool:
        return self.closed is not None and self.closed >= hour

    def account(self, hour: int) -> tuple[Account, list[str]]:
        """The audited books of an hour, and every rule that does not hold. What is owed is settled in the first hour that is closed."""
        count = self.counts.get(hour, HourCount())
        closing = self._closing(hour)
        if closing is None:
            return self._unclosed(count), [f"partition {self.partition}: no barrier yet, sealed by force"]
        since = hour if self.owed is None else self.owed.since
        tallies = [tally for barrier in closing for known, tally in barrier.tallies.items() if since <= known <= hour]
        early = 0 if self.owed is None else self.owed.written + self.owed.poisoned
        first, barrier = closing[0], closing[-1]
        account = Account(
            raw_partition=self.partition,
            from_offset=first.first,
            barrier_offset=barrier.offset,
            barrier_append_time=iso(barrier.append_ms),
            consumed=sum(tally.consumed for tally in tallies) - early,
            forwarded=sum(tally.forwarded for tally in tallies) - early,
            written=count.written,
            poisoned=count.poisoned,
            duplicates=sum(tally.duplicates for tally in tallies),
            rejected=sum(tally.rejected for tally in tallies),
            skewed=count.skewed,
        )
        before, faults = self._before(first), list(_sums(account))
        for link in closing:
            faults += _interval(before, link)
            before = _last(link)
        if self.seam is not None and self.seam.opens(barrier):
            faults.append("Kafka was lost before the hour was whole: what the lake had not written by then is missing")
        return account, [f"partition {self.partition}: {fault}" for fault in faults]

    def _closing(self, hour: int) -> list[CleanBarrier] | None:
        """The barrier that closes the hour; before it, when something is owed, those of the hours sealed by force. None: there is none."""
        for number, barrier in enumerate(self._barriers):
            if barrier.hour >= hour:
                return self._barriers[: number + 1] if self.owed is not None else [barrier]
        return None

    def _before(self, barrier: CleanBarrier) -> LastBarrier | None:
        number = self._barriers.index(barrier)
        return _last(self._barriers[number - 1]) if number else self._last

    def _unclosed(self, count: HourCount) -> Account:
        return Account(
            raw_partition=self.partition,
            from_offset=self._last.offset + 1 if self._last else 0,
            barrier_offset=-1,
            barrier_append_time="",
            consumed=count.written + count.poisoned,
            forwarded=count.written + count.poisoned,
            written=count.written,
            poisoned=count.poisoned,
            duplicates=0,
            rejected=0,
            skewed=count.skewed,
        )

    def resume_after(self, hour: int) -> Resume:
        """Where a later reader must start to know all about the hours after `hour`."""
        entry = min((first for first, newest in self._mentions.items() if newest > hour), default=self.next)
        last = self._last
        for barrier in self._barriers:
            if barrier.hour <= hour:
                last = _last(barrier)
        return Resume(entry=entry, last=last, owed=self._owed_after(hour), seam=self.seam)

    def _owed_after(self, hour: int) -> Owed | None:
        if self.has_closed(hour):
            return None
        before = self.owed or Owed(since=hour, entry=0, written=0, poisoned=0)
        count = self.counts.get(hour, HourCount())
        return Owed(
            since=before.since, entry=self.next, written=before.written + count.written, poisoned=before.poisoned + count.poisoned
        )

    def forget(self, hour: int) -> None:
        """The hour and all before it are sealed."""
        resume = self.resume_after(hour)
        self._last, self.owed = resume.last, resume.owed
        self._sealed = hour
        self._barriers = [barrier for barrier in self._barriers if barrier.hour > hour]
        self._mentions = {first: newest for first, newest in self._mentions.items() if newest > hour}
        for done in [known for known in self.counts if known <= hour]:
            del self.counts[done]
        for done in [known for known in self.parts if known <= hour]:
            del self.parts[done]


def _last(barrier: CleanBarrier) -> LastBarrier:
    return LastBarrier(source=barrier.source, offset=barrier.offset, left=barrier.left)


def _sums(account: Account) -> Iterable[str]:
    """Delivery.md §5, rule by rule."""
    if account.consumed != account.forwarded + account.duplicates + account.rejected:
        parts = f"forwarded {account.forwarded} + duplicates {account.duplicates} + rejected {account.rejected}"
        yield f"consumed {account.consumed}, but {parts}"
    if account.forwarded != account.written + account.poisoned:
        yield f"forwarded {account.forwarded}, but written {account.written} + poisoned {account.poisoned}"


def _interval(before: LastBarrier | None, barrier: CleanBarrier) -> Iterable[str]:
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
