"""Event ids: UUIDv7 (RFC 9562), rising within a process even when the clock steps back, never shared by a fork.

Randomness is drawn from the operating system in blocks; within one millisecond an id is the one before plus a random step of up to 2^32
(method 2 of RFC 9562 §6.2), so that ids stay unguessable and ordered.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final
from uuid import UUID

from .errors import InvalidEvent

_STEPS: Final = Struct(">1024I")
_LOW_BITS: Final = 74
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_RAND_B_BITS: Final = 62
_RAND_B_MASK: Final = (1 << _RAND_B_BITS) - 1
_NODE_MASK: Final = (1 << 48) - 1


def uuid7_text(prefix: str, low: int) -> str:
    """Canonical text of the UUIDv7 made of `time_prefix` and 74 low bits (12 `rand_a`, 62 `rand_b`)."""
    rand_b = low & _RAND_B_MASK
    return f"{prefix}-{0x7000 | low >> _RAND_B_BITS:04x}-{0x8000 | rand_b >> 48:04x}-{rand_b & _NODE_MASK:012x}"


def time_prefix(millis: int) -> str:
    """The first two groups of an id: milliseconds since 1970."""
    text = f"{millis:012x}"
    return f"{text[:8]}-{text[8:]}"


class EventIds:
    """Makes ids; call it. Thread-safe. `now_ns` is the wall clock in nanoseconds."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self.forget()

    def forget(self) -> None:
        """Start afresh: new lock, no randomness left over. A forked child must call this before its first id."""
        self._lock = threading.Lock()
        self._millis = -1
        self._prefix = ""
        self._low = 0
        self._steps: Iterator[int] = iter(())

    def __call__(self) -> str:
        with self._lock:
            millis = self._now_ns() // 1_000_000
            if millis > self._millis:
                self._begin(millis)
            else:
                step = next(self._steps, None)
                if step is None:
                    self._steps = iter(_STEPS.unpack(os.urandom(_STEPS.size)))
                    step = next(self._steps)
                self._low += 1 + step
                if self._low > _LOW_MASK:
                    self._begin(self._millis + 1)
            return uuid7_text(self._prefix, self._low)

    def _begin(self, millis: int) -> None:
        self._millis = millis
        self._prefix = time_prefix(millis)
        self._low = int.from_bytes(os.urandom(10), "big") & (_LOW_MASK >> 1)  # top bit clear: room to count up within the millisecond


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
