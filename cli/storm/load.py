"""All senders on one platform, through every way in, and their orderly end. What they were told stands in the field's ledgers."""

from __future__ import annotations

import logging

from hourmark_client import Client

from .field import Field
from .senders import Library, Plain, Sending

STUCK_S = 900.0
SETTLE_S = 180.0


class Load:
    """Starts at `start`; `finish` returns when every event has its verdict, or too late."""

    def __init__(self, field: Field, seed: int) -> None:
        logging.getLogger("hourmark_client").setLevel(logging.CRITICAL)  # its warnings are what faults are for
        self._clients = [
            Client.http(field.receiver, write_key=field.write_key, app="storm", block_timeout=STUCK_S),
            Client.kafka(field.kafka, registry=field.registry, app="storm", block_timeout=STUCK_S, options={"log_level": 0}),
        ]
        one, two = self._clients
        self._plain = Plain(field, 300, seed + 3)
        self._senders: list[Sending] = [
            Library(field, one, [two], 500, seed + 1, "http"),
            Library(field, two, [one], 300, seed + 2, "kafka"),
            self._plain,
        ]

    def start(self) -> None:
        for sender in self._senders:
            sender.start()

    def check(self) -> None:
        """Raises what ended a sender early."""
        for sender in self._senders:
            if sender.failure is not None:
                raise sender.failure

    def finish(self) -> tuple[list[str], int]:
        """What did not come to pass, in words, and how many events never got a verdict (one at least when a sender hangs)."""
        wrong: list[str] = []
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.join(SETTLE_S)
        for client in self._clients:
            try:
                client.close(SETTLE_S)
            except Exception as exc:  # Undelivered: what it held is unknown, so nothing can be proved
                wrong.append(f"a client could not deliver: {exc}")
        wrong += [f"{sender.name} does not end" for sender in self._senders if sender.is_alive()]
        wrong += [f"{sender.name} failed: {sender.failure}" for sender in self._senders if sender.failure is not None]
        return wrong, self._plain.open
