"""One warning per episode of trouble, with numbers, instead of one per event or none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log: Final = logging.getLogger("hourmark_client")


class Episode:
    """Says when trouble starts, at most every `every` seconds while it lasts, and when it has been over for `quiet` seconds."""

    def __init__(self, what: str, *, every: float = 30.0, quiet: float = 5.0, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._every = every
        self._quiet = quiet
        self._now = now
        self.forget()

    def forget(self) -> None:
        """Start afresh with a new lock (after a fork)."""
        self._lock = threading.Lock()
        self.count = 0
        self._said_at = self._last_at = float("-inf")

    def trouble(self, detail: str, count: int = 1) -> None:
        """`count` more of it happened."""
        with self._lock:
            self.count += count
            now = self._last_at = self._now()
            if now - self._said_at < self._every:
                return
            self._said_at = now
            total = self.count
        log.warning("%s: %s (%d so far)", self._what, detail, total)

    def over(self) -> None:
        """It works again. Said only after a quiet while, so that trouble that comes and goes is one episode."""
        if not self.count:
            return
        with self._lock:
            if self._now() - self._last_at < self._quiet:
                return
            total, self.count, self._said_at = self.count, 0, float("-inf")
        if total:
            log.warning("%s: over (%d in all)", self._what, total)
