"""Event ids: UUIDv7 (RFC 9562), rising within a process even when the clock steps back, never shared by a fork.

Randomness is drawn from the operating system in blocks; within one millisecond an id is the one before plus a random step of up to 2^32
(method 2 of RFC 9562 §6.2), so that ids stay unguessable and ordered.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from .errors import InvalidEvent

_BLOCK: Final = 4096
_LOW_BITS: Final = 74
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_RAND_B_BITS: Final = 62
_RAND_B_MASK: Final = (1 << _RAND_B_BITS) - 1
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62


def uuid7_text(millis: int, low: int) -> str:
    """Canonical text of the UUIDv7 made of a 48-bit time and 74 low bits (12 `rand_a`, 62 `rand_b`)."""
    number = (millis << 80) | _VERSION | ((low >> _RAND_B_BITS) << 64) | _VARIANT | (low & _RAND_B_MASK)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class EventIds:
    """Makes ids; call it. Thread-safe. `now_ms` is the wall clock in milliseconds."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self.forget()

    def forget(self) -> None:
        """Start afresh: new lock, no randomness left over. A forked child must call this before its first id."""
        self._lock = threading.Lock()
        self._millis = 0
        self._low = 0
        self._block = b""
        self._at = 0

    def __call__(self) -> str:
        with self._lock:
            millis = self._now_ms()
            if millis > self._millis:
                self._millis = millis
                self._low = self._random(9) & (_LOW_MASK >> 1)  # top bit clear: room to count up within the millisecond
            else:
                self._low += 1 + self._random(4)
                if self._low > _LOW_MASK:
                    self._millis += 1
                    self._low = self._random(9) & (_LOW_MASK >> 1)
            return uuid7_text(self._millis, self._low)

    def _random(self, size: int) -> int:
        end = self._at + size
        if end > len(self._block):
            self._block, self._at, end = os.urandom(_BLOCK), 0, size
        number = int.from_bytes(self._block[self._at : end], "big")
        self._at = end
        return number


event_ids: Final = EventIds()
os.register_at_fork(after_in_child=event_ids.forget)


def id_text(given: UUID | str | bytes) -> str:
    """Canonical text of an id the caller chose: a UUID, its text, or its 16 bytes. Raises InvalidEvent."""
    try:
        if isinstance(given, UUID):
            return str(given)
        return str(UUID(bytes=given) if isinstance(given, bytes) else UUID(given))
    except (ValueError, TypeError, AttributeError):
        raise InvalidEvent(f"{given!r} is not an event id; give a UUID, its text, or 16 bytes") from None


def id_bytes(text: str) -> bytes:
    """The 16 bytes of a canonical id."""
    return bytes.fromhex(text.replace("-", ""))
