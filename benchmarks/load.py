"""What the end-to-end benchmarks send: batches of one 250-byte event type, as bytes, by a few connections side by side."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from local.status import StackStatus

BATCH: Final = 500
SENDERS: Final = 4
ID_DIGITS: Final = 12
_MARK: Final = b"9f3a7c51be24-"
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


class Bodies:
    """Request bodies of `BATCH` events each. Ids are UUIDs whose last 48 bits count the events, so an account needs no list of them.

    A body is a template with the ids of its events overwritten: sending must not be what is measured.
    """

    def __init__(self, event_type: str, run: int) -> None:
        """`run`: 16 bits that tell the ids of one run from those of another."""
        self._ids = f"018f0000-{run:04x}-7000-8000-"
        sent = {"sdk": {"name": "bench", "version": "1"}, "app": "bench", "install": "6f1c0b7e", "sent_at": "2026-03-01T07:00:00.123Z"}
        events = [_event(event_type, number, f"{self._ids}{_MARK.decode()[:ID_DIGITS]}") for number in range(BATCH)]
        body = json.dumps({**sent, "events": events}, separators=(",", ":")).encode()
        found, at = [], body.find(_MARK[:ID_DIGITS])
        while at >= 0:
            found.append(at)
            at = body.find(_MARK[:ID_DIGITS], at + 1)
        self._template = np.frombuffer(body, np.uint8)
        self._places = np.array(found)[:, None] + np.arange(ID_DIGITS)
        self._shifts = np.arange(ID_DIGITS - 1, -1, -1, dtype=np.uint64) * np.uint64(4)
        assert self._places.shape == (BATCH, ID_DIGITS)

    def body(self, batch: int) -> bytes:
        """The body of events `batch * BATCH` and on."""
        numbers = np.arange(batch * BATCH, (batch + 1) * BATCH, dtype=np.uint64)
        filled = self._template.copy()
        filled[self._places] = _HEX[(numbers[:, None] >> self._shifts) & np.uint64(15)]
        return filled.tobytes()

    def id_range(self, events: int) -> tuple[str, str]:
        """First and last id of a run of so many events, as text."""
        return f"{self._ids}{0:012x}", f"{self._ids}{events - 1:012x}"


def _event(event_type: str, number: int, event_id: str) -> dict[str, Any]:
    payload = {
        "user_id": f"user-{number % 1000:06d}",
        "track": f"spotify:track:{number:022d}",
        "ms_played": number * 7919 % 300_000,
        "country": ("SE", "US", "DE", "BR")[number % 4],
        "premium": number % 3 == 0,
        "score": number / 7,
        "skips": number % 5,
    }
    return {"type": event_type, "id": event_id, "time": "2026-03-01T06:59:58Z", "seq": number, "attempt": 1, "payload": payload}


def send(status: StackStatus, bodies: Iterable[bytes], told: Callable[[int], None] = lambda _events: None) -> None:
    """Send every body until it is answered 200, as many at once as there are connections; `told` hears of each body's stored events.

    The iterable is asked by one thread at a time, and may wait to keep a pace. Raises RuntimeError when an event is not stored.
    """
    failures: list[str] = []
    work, lock = iter(bodies), threading.Lock()

    def run() -> None:
        connection = http.client.HTTPConnection(urlsplit(status.receiver).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {status.write_key}", "Content-Type": "application/json"}
        while not failures:
            with lock:
                body = next(work, None)
            if body is None:
                return
            while True:
                connection.request("POST", "/v1/events", body, headers)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 503:
                    break
                time.sleep(0.05)
            stored = said.count(b'"stored"')
            if answer.status != 200 or stored != BATCH:
                failures.append(f"{answer.status} {said[:300]!r}")
            told(stored)

    threads = [threading.Thread(target=run) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"the receiver did not store everything: {failures[0]}")
