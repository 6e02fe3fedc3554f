"""Ends a worker that has silently stopped: lag and no progress for a minute. A supervisor starts it again, and it replays.

Waiting for the index is not silence; being away from the brokers for so long is, and a new process waits for them better.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from faust.types import TP

from hourmark.errors import BrokerUnavailable, InvariantBroken


class Watchdog:
    """Feed it with `look`; it raises when patience is over."""

    def __init__(self, patience_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._now = patience_s, now
        self._progress = -1
        self._since = now()

    def look(self, progress: int, lag: int | None, waiting: bool) -> None:
        """`progress`: any number that changes with it. `lag`: None when it cannot be found out.

        Raises InvariantBroken, and BrokerUnavailable when it is the brokers that are silent.
        """
        if progress != self._progress or lag == 0 or waiting:
            self._progress, self._since = progress, self._now()
            return
        silent = self._now() - self._since
        if silent >= self._patience_s:
            if lag is None:
                raise BrokerUnavailable(f"no progress for {silent:.0f} s with no answer from the brokers")
            raise InvariantBroken(f"no progress for {silent:.0f} s with {lag} records waiting")


def lag_of(done: Mapping[TP, int], ends: Mapping[TP, int]) -> int:
    """Records not yet finished, over the partitions of which both are known."""
    return sum(max(0, end - done[tp]) for tp, end in ends.items() if tp in done)
