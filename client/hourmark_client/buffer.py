"""The bounded memory between `send` and a final verdict: every accepted event is in it until it is settled.

An event is queued (fresh), later (waits for its next attempt) or out (a transport works on it). One lock guards all; `admit` is the only
call on the road of each event, everything else goes in batches. A transport's threads call, in a loop: `take` (blocks) → send → `settle`
or `postpone`. Callbacks run outside the lock, in the thread that settles, before the event stops counting as pending.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Final

import msgspec

from .errors import ClientClosed
from .notices import Held, Settled, Teller
from .verdicts import UNDELIVERED, Outcome

EVENT_OVERHEAD: Final = 500  # what the objects around a payload weigh, rounded up (tracemalloc, CPython 3.11: 344 B queued, 385 B out)


class BatchLimits(msgspec.Struct, frozen=True):
    """When a batch is ready: so many events, so many payload bytes, or the first one is `linger` seconds old."""

    events: int = 1000
    bytes: int = 1024 * 1024
    linger: float = 0.05


class Stats(msgspec.Struct, frozen=True):
    """Counts since the client was made: accepted = stored + parked + rejected + undelivered + pending.

    `dropped` (by policy) are among the undelivered. `retried`: attempts that brought no final verdict.
    """

    accepted: int
    pending: int
    buffered_bytes: int
    stored: int
    parked: int
    rejected: int
    undelivered: int
    dropped: int
    retried: int


class Buffer:
    """See the module. `limit`: bytes. `on_space` is called, without the lock, after room was made."""

    def __init__(self, limit: int, batch: BatchLimits, teller: Teller) -> None:
        self.limit = limit
        self.batch = batch
        self._teller = teller
        self.on_space: Callable[[], None] | None = None
        self.forget()

    def forget(self) -> None:
        """Empty, with new locks and sequences from 1: what a forked child does, whose parent still owns the events."""
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._space = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)
        self._queue: deque[Held] = deque()
        self._queued_bytes = 0
        self._first_at = 0.0
        self._later: list[tuple[float, int, Held]] = []
        self._tie = count()
        self._out: set[Held] = set()
        self._sequences: dict[str, int] = {}
        self._used = self._pending = self._accepted = self._takers = self._hurry = 0
        self._counts: Counter[str] = Counter()
        self._closed = self._stopped = self._nudged = False

    # -- the caller's side

    def admit(self, held: Held) -> bool:
        """Queue the event and number it; False when there is no room. Raises ClientClosed."""
        with self._lock:
            if self._closed:
                raise ClientClosed("the client is closed")
            used = self._used + held.size
            if used > self.limit and self._pending:
                return False
            self._used = used
            self._pending += 1
            self._accepted += 1
            held.sequence = self._sequences[held.event_type] = self._sequences.get(held.event_type, 0) + 1
            queue = self._queue
            if not queue:
                self._first_at = time.monotonic()
            queue.append(held)
            self._queued_bytes += held.size
            if self._takers and (len(queue) == 1 or len(queue) >= self.batch.events or self._queued_bytes >= self.batch.bytes):
                self._work.notify()
        return True

    def drop(self, held: Held) -> None:
        """Count an event that was not admitted as lost: it takes a sequence number, so that the gap shows downstream, and is told so."""
        with self._lock:
            if self._closed:
                raise ClientClosed("the client is closed")
            self._accepted += 1
            self._counts["dropped"] += 1
            self._counts[UNDELIVERED] += 1
            held.sequence = self._sequences[held.event_type] = self._sequences.get(held.event_type, 0) + 1
        self._teller.tell([(held, Outcome(UNDELIVERED, code="buffer_full"))])

    def wait_for_space(self, size: int, deadline: float) -> bool:
        """Block until `size` bytes fit or the deadline (monotonic) has passed."""
        with self._lock:
            self._hurry += 1
            self._work.notify_all()
            try:
                return self._space.wait_for(self._fits(size), max(0.0, deadline - time.monotonic()))
            finally:
                self._hurry -= 1

    def _fits(self, size: int) -> Callable[[], bool]:
        return lambda: self._closed or not self._pending or self._used + size <= self.limit

    def flush(self, deadline: float) -> bool:
        """Send without lingering until nothing is pending; False when the deadline (monotonic) came first."""
        with self._lock:
            self._hurry += 1
            self._work.notify_all()
            try:
                return self._done.wait_for(lambda: not self._pending, max(0.0, deadline - time.monotonic()))
            finally:
                self._hurry -= 1

    def close(self) -> None:
        """Admit nothing more; what is in goes on being sent."""
        with self._lock:
            self._closed = True
            self._space.notify_all()
            self._work.notify_all()
        if self.on_space is not None:
            self.on_space()

    def stop(self) -> int:
        """End all work: threads get None from `take`, and what is unsettled is told `undelivered`. Returns how many that were."""
        with self._lock:
            self._closed = self._stopped = True
            lost = [*self._out, *self._queue, *(held for _, _, held in self._later)]
            self._out.clear()
            self._queue.clear()
            self._later.clear()
            self._queued_bytes = self._used = self._pending = 0
            self._counts[UNDELIVERED] += len(lost)
            for condition in (self._work, self._space, self._done):
                condition.notify_all()
        self._teller.tell([(held, Outcome(UNDELIVERED, code="client_closed")) for held in lost])
        return len(lost)

    def stats(self) -> Stats:
        with self._lock:
            counts = self._counts
            return Stats(
                accepted=self._accepted,
                pending=self._pending,
                buffered_bytes=self._used,
                **{name: counts[name] for name in ("stored", "parked", "rejected", "undelivered", "dropped", "retried")},
            )

    # -- the transport's side

    def take(self) -> list[Held] | None:
        """The next batch; blocks until one is ready. None: stop. Empty: nudged, look around and come back."""
        with self._lock:
            while not self._stopped:
                if self._nudged:
                    self._nudged = False
                    return []
                now = time.monotonic()
                self._promote(now)
                wait = self._wait_s(now)
                if wait == 0.0:
                    return self._pop(now)
                self._takers += 1
                self._work.wait(wait)
                self._takers -= 1
            return None

    def _promote(self, now: float) -> None:
        """What is due goes to the front, oldest first."""
        due = []
        while self._later and self._later[0][0] <= now:
            due.append(heappop(self._later)[2])
        if due:
            self._queue.extendleft(reversed(due))
            self._queued_bytes += sum(held.size for held in due)
            self._first_at = min(self._first_at, now - self.batch.linger)

    def _wait_s(self, now: float) -> float | None:
        """Seconds until there may be a batch: 0 now, None until somebody calls."""
        next_due = self._later[0][0] - now if self._later else None
        if not self._queue:
            return next_due
        if self._hurry or self._closed or len(self._queue) >= self.batch.events or self._queued_bytes >= self.batch.bytes:
            return 0.0
        age = max(0.0, self._first_at + self.batch.linger - now)
        return age if next_due is None else min(age, max(next_due, 0.0))

    def _pop(self, now: float) -> list[Held]:
        queue, limit = self._queue, self.batch.bytes
        batch: list[Held] = []
        size = 0
        while queue and len(batch) < self.batch.events:
            size += queue[0].size
            if batch and size > limit:
                size -= queue[0].size
                break
            batch.append(queue.popleft())
        self._queued_bytes -= size
        self._first_at = now
        self._out.update(batch)
        if queue and self._takers:
            self._work.notify()
        return batch

    def postpone(self, events: Iterable[tuple[Held, float]]) -> None:
        """Give events back: each is due again after so many seconds."""
        now = time.monotonic()
        with self._lock:
            for held, delay in events:
                if held in self._out:
                    self._out.discard(held)
                    heappush(self._later, (now + delay, next(self._tie), held))
            self._work.notify()

    def retried(self, attempts: int) -> None:
        with self._lock:
            self._counts["retried"] += attempts

    def nudge(self) -> None:
        """Make one `take` return empty."""
        with self._lock:
            self._nudged = True
            self._work.notify()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def sleep(self, seconds: float) -> bool:
        """Wait between attempts; False when work has ended meanwhile."""
        end = time.monotonic() + seconds
        with self._lock:
            while not self._stopped and (left := end - time.monotonic()) > 0:
                self._done.wait(left)
            return not self._stopped

    def settle(self, outcomes: Settled) -> None:
        """These events have their final verdict. Events that are not out (given up by `stop`) are left alone."""
        if not outcomes:
            return
        with self._lock:
            out = self._out
            mine = [pair for pair in outcomes if pair[0] in out]
            out.difference_update([held for held, _ in mine])
            self._counts.update([outcome.verdict for _, outcome in mine])
        self._teller.tell(mine)
        with self._lock:
            if self._stopped:
                return
            self._pending -= len(mine)
            self._used -= sum([held.size for held, _ in mine])
            self._space.notify_all()
            if not self._pending:
                self._done.notify_all()
        if self.on_space is not None:
            self.on_space()
