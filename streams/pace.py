"""How often a consumer asks for records: at once when it was quiet, else after a wait that grows with the partitions it asks for.

A fetch names every partition in the request and in the answer, about 10 µs each for aiokafka; answered at every single record, a trickle
over a thousand partitions would fill a core. What arrives meanwhile comes in one answer; a full one is never waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

WAIT_PER_PARTITION_MS: Final = 0.2  # keeps the asking below a tenth of a core
WAIT_MOST_MS: Final = 250
FULL_BYTES: Final = 262_144
QUIET_MS: Final = 1_500
QUIET_AFTER_S: Final = 1.0


class Pace:
    """Tell it of every look at the fetcher; it sets what the next request says."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = 0.0

    def looked(self, fetcher: Any, partitions: int, found: bool) -> None:
        """`found`: there were records. A quiet consumer waits long and takes the first record at once."""
        moment = self._now()
        if found:
            self._last = moment
        quiet = moment - self._last > QUIET_AFTER_S
        full = min(FULL_BYTES, fetcher._max_partition_fetch_bytes // 2)  # one busy partition alone must be able to fill an answer
        fetcher._fetch_min_bytes = 1 if quiet else full
        fetcher._fetch_max_wait_ms = QUIET_MS if quiet else min(WAIT_MOST_MS, int(partitions * WAIT_PER_PARTITION_MS) + 5)
