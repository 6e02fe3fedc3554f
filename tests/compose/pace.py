"""One sender at a pace that can be changed under way: events of one type in batches through the HTTP client, each in the field's ledger."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from cli.storm.field import FIELDS, Field
from cli.storm.senders import TEXT, TICK_S, Sending
from hourmark_client import Client

PATIENCE_S = 300.0


class EventType(NamedTuple):
    """`payload`: of the event with this number."""

    name: str
    tier: str
    partitions: int
    fields: list[dict[str, Any]]
    payload: Callable[[int], dict[str, Any]]


class Paced(Sending):
    """`rate`: events a second from now on. What cannot be sent in time is not made up for."""

    def __init__(self, field: Field, event_type: EventType) -> None:
        super().__init__(field, 0, "paced")
        self.rate = 0
        field.declare(event_type.name, tier=event_type.tier, partitions=event_type.partitions, fields=event_type.fields)
        self._ledger, self._payload = field.ledgers[event_type.name], event_type.payload
        self._client = Client.http(field.receiver, write_key=field.write_key, app="paced", block_timeout=PATIENCE_S)

    def work(self) -> None:
        before, owed = time.monotonic(), 0.0
        while not self._ended.wait(TICK_S / 5):
            now = time.monotonic()
            owed = min(owed + self.rate * (now - before), self.rate * TICK_S)
            before = now
            if self.full():
                continue
            count = int(owed)
            owed -= count
            for _ in range(count):
                with self.rig.counting:
                    self._ledger.sent += 1
                self._client.send(self._ledger.event_type, self.payload(), on_verdict=self._ledger.original)

    def payload(self) -> dict[str, Any]:
        return self._payload(next(self._number))

    def check(self) -> None:
        """Raises what ended it early."""
        if self.failure is not None:
            raise self.failure

    def finish(self) -> tuple[list[str], int]:
        """What did not come to pass, in words, and how many events never got a verdict."""
        self.stop()
        self.join(PATIENCE_S)
        wrong = [f"{self.name} does not end"] if self.is_alive() else []
        wrong += [f"{self.name} failed: {self.failure}"] if self.failure is not None else []
        try:
            self._client.close(PATIENCE_S)
        except Exception as exc:  # Undelivered: what it held is unknown, so nothing can be proved
            wrong.append(f"the client could not deliver: {exc}")
        return wrong, self._ledger.unsettled


def _small(number: int) -> dict[str, Any]:
    return {"number": number, "text": TEXT}


def _wide(number: int) -> dict[str, Any]:
    """Two texts of their own for each event, six out of a hundred, and six numbers: some 450 bytes."""
    own = {f"own{i}": uuid.uuid4().hex for i in range(2)}
    shared = {f"shared{i}": f"{i} of a hundred: {number * (i + 1) % 100}" for i in range(6)}
    return {"number": number, **own, **shared, **{f"value{i}": number * 0.25 + i for i in range(6)}}


SMALL = EventType("ramp.counted", "critical", 4, FIELDS, _small)
WIDE = EventType(
    "cost.wide",
    "standard",
    2,
    [
        {"name": "number", "type": "long"},
        *({"name": name, "type": "string"} for name in (*(f"own{i}" for i in range(2)), *(f"shared{i}" for i in range(6)))),
        *({"name": f"value{i}", "type": "double"} for i in range(6)),
    ],
    _wide,
)
"""Fifteen columns."""
