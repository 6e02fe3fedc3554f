"""When to try again: exponential backoff with full jitter, never earlier than the other side asked for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TypeVar

T = TypeVar("T")

RETRY_AFTER_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Attempt n waits a random time in [0, min(cap, first * 2^(n-1))] seconds, on top of what the other side asked for."""

    first: float = 0.1
    cap: float = 30.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the `failures`-th failure in a row (from 1). `retry_after` is obeyed up to five minutes."""
        ceiling = min(self.cap, self.first * 2.0 ** min(max(failures, 1) - 1, 60))
        asked = min(max(retry_after, 0.0), RETRY_AFTER_MAX) if retry_after is not None and isfinite(retry_after) else 0.0
        return asked + self.uniform(0.0, ceiling)

    def together(self, failed: Iterable[tuple[T, int, float | None]]) -> Iterator[tuple[T, float]]:
        """A delay for each (thing, failures, retry_after): one throw of the dice for equal ones, so that a batch stays a batch."""
        thrown: dict[tuple[int, float | None], float] = {}
        for thing, failures, retry_after in failed:
            delay = thrown.get((failures, retry_after))
            if delay is None:
                delay = thrown[failures, retry_after] = self.delay(failures, retry_after)
            yield thing, delay


def parse_retry_after(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or an HTTP date. None when there is none, or nonsense."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None
