"""Sends one event type's data through a client in batches, and 5 % of the batches again with the same ids.

Half of the copies go at once, half two "hours" later: what a client does whose reply was lost, or whose device was offline.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Protocol

from hourmark_client import Verdict

from .dataset import Item
from .ledger import Ledger

BATCH = 500
AHEAD = 30_000  # events without a verdict at which the sender waits
COPIED = 0.05
EARLY = 1 / 3  # late copies are of batches from this first part, so that their time comes while others are still sent


class Sender(Protocol):
    """The client library, as far as the demo uses it. Returns the event's id; blocks while the client's buffer is full."""

    def send(
        self,
        event_type: str,
        payload: dict[str, object],
        *,
        time: float,
        event_id: str | None,
        on_verdict: Callable[[Verdict], object],
    ) -> str: ...


@dataclass
class Copied:
    """A batch to be sent again `delay` seconds after its last verdict."""

    items: Sequence[Item]
    delay: float
    ids: list[str] = field(default_factory=list)
    open: int = 0


class Traffic(threading.Thread):
    """One event type's sender. `stop` ends it early; `failure` holds what ended it, if anything."""

    def __init__(self, client: Sender, ledger: Ledger, items: Sequence[Item], two_hours: float, seed: int) -> None:
        super().__init__(name=f"traffic-{ledger.event_type}", daemon=True)
        self.failure: Exception | None = None
        self._client, self.ledger, self._items, self._two_hours = client, ledger, items, two_hours
        self._random = Random(seed)  # the same batches in every run
        self._due: list[tuple[float, int, Copied]] = []
        self._number = count()
        self._lock = threading.Lock()
        self._awaited = 0
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()

    def run(self) -> None:
        try:
            self._all()
        except Exception as exc:  # handed to the demo's own thread, which ends with it
            self.failure = exc

    def _all(self) -> None:
        batches = -(-len(self._items) // BATCH)
        for number in range(batches):
            items = self._items[number * BATCH : (number + 1) * BATCH]
            while self.ledger.unsettled > AHEAD and not self._ended.wait(0.01):
                pass
            if self._ended.is_set():
                return
            self._send(items, self._chosen(number, batches, items))
            self._send_due()
        while self._awaited and not self._ended.wait(0.05):
            self._send_due()

    def _chosen(self, number: int, batches: int, items: Sequence[Item]) -> Copied | None:
        early = number < max(1, batches * EARLY)
        if self._random.random() < COPIED / 2 or number == 1:
            return Copied(items, 0.0)
        if early and (self._random.random() < COPIED / 2 / EARLY or number == 0):
            return Copied(items, self._two_hours)
        return None

    def _send(self, items: Sequence[Item], copied: Copied | None) -> None:
        verdict: Callable[[Verdict], object] = self.ledger.original
        if copied is not None:
            copied.open = len(items)
            self._awaited += 1
            verdict = self._noting(copied)
        send, event_type = self._client.send, self.ledger.event_type
        ids = [send(event_type, item.payload, time=item.time, event_id=None, on_verdict=verdict) for item in items]
        if copied is not None:
            copied.ids = ids
        self.ledger.sent += len(items)

    def _noting(self, copied: Copied) -> Callable[[Verdict], object]:
        def note(verdict: Verdict) -> None:
            self.ledger.original(verdict)
            with self._lock:
                copied.open -= 1
                if copied.open == 0:
                    heapq.heappush(self._due, (time.monotonic() + copied.delay, next(self._number), copied))

        return note

    def _send_due(self) -> None:
        while True:
            with self._lock:
                if not self._due or self._due[0][0] > time.monotonic():
                    return
                copied = heapq.heappop(self._due)[2]
            for item, event_id in zip(copied.items, copied.ids, strict=True):
                self._client.send(self.ledger.event_type, item.payload, time=item.time, event_id=event_id, on_verdict=self.ledger.copy)
            self.ledger.copies_sent += len(copied.items)
            self._awaited -= 1
