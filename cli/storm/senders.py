"""Who sends during a storm: client libraries and plain HTTP requests, known ids, and copies of them seconds and hours later, by any way."""

from __future__ import annotations

import contextlib
import heapq
import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hourmark_client import Client, Verdict
from hourmark_client.ids import event_ids

from .field import Field

AHEAD = 15_000  # events without a verdict at which senders wait
TICK_S = 0.1
COPIED = 0.12
LATE = 0.3  # of the copies, hours later
LOST_REPLIES = 0.1
SPOILT = 0.01
MOST_BYTES = 1 << 20  # of an event
TEXT = "x" * 60
FINAL = ("stored", "parked", "rejected")


class Copy(NamedTuple):
    """An event to be sent again, with the id it had."""

    event_type: str
    event_id: str
    payload: dict[str, Any]


class Sending(threading.Thread):
    """What all senders have in common. `failure` holds what ended it early; `stop` lets it come to its end."""

    def __init__(self, rig: Field, seed: int, name: str) -> None:
        super().__init__(name=f"storm-{name}", daemon=True)
        self.failure: Exception | None = None
        self.rig, self.random = rig, random.Random(seed)
        self._number, self._ended = itertools.count(), threading.Event()

    def stop(self) -> None:
        self._ended.set()

    def run(self) -> None:
        try:
            self.work()
        except Exception as exc:  # shown by the storm's own thread
            self.failure = exc

    def work(self) -> None:
        raise NotImplementedError

    def payload(self) -> dict[str, Any]:
        return {"number": next(self._number), "text": TEXT}

    def full(self) -> bool:
        return sum(ledger.unsettled for ledger in list(self.rig.ledgers.values())) > AHEAD


class Library(Sending):
    """Sends through one client library, and copies through any of them."""

    def __init__(self, rig: Field, client: Client, others: Sequence[Client], per_second: int, seed: int, name: str) -> None:
        super().__init__(rig, seed, name)
        self._client, self._others, self._per_tick = client, others, int(per_second * TICK_S)
        self._due: list[tuple[float, int, Copy]] = []

    def work(self) -> None:
        while not self._ended.wait(TICK_S):
            if self.full():
                continue
            ledger = self.rig.ledgers[self.rig.pick(self.random)]
            for _ in range(self._per_tick):
                payload = self.payload()
                with self.rig.counting:
                    ledger.sent += 1
                event_id = self._client.send(ledger.event_type, payload, on_verdict=ledger.original)
                if self.random.random() < COPIED:
                    self._plan(Copy(ledger.event_type, event_id, payload))
            self._send_due()

    def _plan(self, copy: Copy) -> None:
        hours = self.rig.hours.seconds
        delay = self.random.uniform(1.2, 4.0) * hours if self.random.random() < LATE else self.random.uniform(0.0, 5.0)
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._number), copy))

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            copy = heapq.heappop(self._due)[2]
            ledger = self.rig.ledgers[copy.event_type]
            with self.rig.counting:
                ledger.copies_sent += 1
            client = self.random.choice([self._client, *self._others])
            client.send(copy.event_type, copy.payload, event_id=copy.event_id, on_verdict=ledger.copy)


class Batch(NamedTuple):
    """Events of one request that have no final verdict yet: id → event."""

    events: dict[str, dict[str, Any]]
    attempt: int


class Plain(Sending):
    """Plain HTTP requests, whose replies are now and then not waited for; the same ids go out again until each has its verdict."""

    def __init__(self, rig: Field, per_second: int, seed: int) -> None:
        super().__init__(rig, seed, "plain")
        self._size, self._due = max(1, per_second // 5), list[tuple[float, int, Batch]]()
        self.open = 0

    def work(self) -> None:
        deadline = 0.0
        while True:
            if self._ended.wait(0.2):
                deadline = deadline or time.monotonic() + 120.0
                if not self._due or time.monotonic() > deadline:
                    break
            elif not self.full():
                self._send(self._new())
                self._send_wanted()
            while self._due and self._due[0][0] <= time.monotonic():
                self._send(heapq.heappop(self._due)[2])
        self.open = sum(len(batch.events) for _, _, batch in self._due)

    def _new(self) -> Batch:
        event_type = self.rig.pick(self.random)
        with self.rig.counting:
            self.rig.ledgers[event_type].sent += self._size
        events: dict[str, dict[str, Any]] = {event_ids(): {"type": event_type, "payload": self.payload()} for _ in range(self._size)}
        for event_id in list(events):
            if self.random.random() < SPOILT:
                events[event_id]["payload"]["number"] = "spoilt"
                self.rig.spoilt.add(event_id)
        return Batch(events, 1)

    def _send_wanted(self) -> None:
        """What the faults `large` and `undeclared` asked for."""
        rig = self.rig
        while rig.large_wanted:
            event_type, size = rig.large_wanted.pop()
            event_id = event_ids()
            payload = {"number": next(self._number), "text": "x" * (size - 200)}
            with rig.counting:
                rig.ledgers[event_type].sent += 1
            if size > MOST_BYTES:
                rig.spoilt.add(event_id)
            self._send(Batch({event_id: {"type": event_type, "payload": payload}}, 1))
        while rig.undeclared_wanted:
            rig.undeclared_wanted -= 1
            rig.undeclared.sent += 10
            self._send(Batch({event_ids(): {"type": rig.undeclared.event_type, "payload": self.payload()} for _ in range(10)}, 1))

    def _send(self, batch: Batch) -> None:
        lose = self.random.random() < LOST_REPLIES or time.monotonic() < self.rig.lost_replies_until
        left = dict(batch.events)
        for event_id, found in self._post(batch, lose=lose).items():
            if found["verdict"] in FINAL:
                event = left.pop(event_id)
                ledger = self.rig.ledgers.get(event["type"]) or self.rig.undeclared
                ledger.original(
                    Verdict(event["type"], event_id, found["verdict"], batch.attempt, code=found.get("code"), detail=found.get("detail"))
                )
        if left:
            wait = self.random.uniform(0.3, 2.5)
            heapq.heappush(self._due, (time.monotonic() + wait, next(self._number), Batch(left, batch.attempt + 1)))

    def _post(self, batch: Batch, *, lose: bool) -> dict[str, dict[str, Any]]:
        """Verdicts by id; empty when there was no answer, or when it is to be lost: then the connection ends right after the request."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        events = [{"id": event_id, "time": now, "attempt": batch.attempt, **event} for event_id, event in batch.events.items()]
        body = json.dumps({"sdk": {"name": "storm", "version": "1"}, "app": "storm", "events": events}).encode()
        headers = {"Authorization": f"Bearer {self.rig.write_key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(urlsplit(self.rig.receiver).netloc, timeout=self.random.choice([1.0, 5.0, 40.0]))
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            connection.request("POST", "/v1/events", body, headers)
            if lose:
                with contextlib.suppress(OSError):
                    assert connection.sock is not None
                    connection.sock.shutdown(socket.SHUT_WR if self.random.random() < 0.5 else socket.SHUT_RDWR)
                return {}
            answer = connection.getresponse()
            if answer.status == 200:
                found: dict[str, dict[str, Any]] = json.load(answer)["results"]
                return found
        return {}
