"""What senders of a storm send to, whatever platform it is: its addresses, its event types, and the ledger of each."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from cli.addresses import Addresses
from cli.catalogue import Catalogue
from cli.demo.ledger import Ledger
from hourmark.hours import Hours

FIRST_TYPES = ("storm.one", "storm.two", "storm.three")
FIELDS: list[dict[str, Any]] = [
    {"name": "number", "type": "long"},
    {"name": "text", "type": ["null", "string"], "default": None},
]


class Field:
    """`reach` says where the platform is. `counting` guards what senders add up; `spoilt`: ids of events that must be rejected."""

    receiver: str
    registry: str
    kafka: str
    write_key: str
    hours: Hours

    def __init__(self) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.declared: dict[str, dict[str, Any]] = {}
        self.counting = threading.Lock()
        self.spoilt: set[str] = set()
        self.lost_replies_until = 0.0
        self.undeclared = Ledger("storm.undeclared")
        self.undeclared_wanted = 0
        self.large_wanted: list[tuple[str, int]] = []
        self.poison: Callable[[random.Random], str] = lambda _rng: "no poison"
        self._token = ""

    def reach(self, where: Addresses) -> None:
        """From now on it is there."""
        self.receiver, self.registry, self.kafka, self.write_key = where.receiver, where.registry, where.kafka, where.write_key
        self.hours, self._token = where.hours, where.admin_token

    def hour_now(self) -> int:
        return self.hours.of(int(time.time() * 1000))

    def declare(self, event_type: str, **change: Any) -> None:
        """Declare it, or change its declaration. Raises PlatformError when the registry or Kafka is away; it may be done nevertheless."""
        first = {"event": event_type, "owner": "storm", "tier": "debug", "partitions": 2, "fields": FIELDS}
        before = self.declared.get(event_type) or first
        wanted = {**before, **change}
        document = {name: value for name, value in wanted.items() if name != "fields"}
        document["schema"] = {"type": "record", "name": "Counted", "fields": wanted["fields"]}
        Catalogue(self.registry, timeout=20.0, token=self._token).declare(event_type, document)
        self.declared[event_type] = wanted
        self.ledgers.setdefault(event_type, Ledger(event_type))

    def declare_first(self) -> None:
        threads = [threading.Thread(target=self.declare, args=(name,)) for name in FIRST_TYPES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def pick(self, rng: random.Random) -> str:
        """One of the declared event types."""
        return rng.choice(sorted(self.ledgers))

    @property
    def acknowledged(self) -> int:
        return sum(len(ledger.acknowledged) for ledger in self.ledgers.values())
