"""From a sender's request to our log: a line when requests begin to be refused, with the id of one. Never a line per request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()

AGAIN_S: Final = 60.0


class Episodes:
    """Requests that were refused, or had events answered `retry`: by status and code one line at the first, then one a minute with a count.

    The id in a line is that of the newest such request. What the sender wrote is not repeated: it may be a payload.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: dict[tuple[int, str], float] = {}
        self._since: dict[tuple[int, str], int] = {}

    def saw(self, status: int, code: str, request_id: str) -> None:
        kind = (status, code)
        requests = self._since[kind] = self._since.get(kind, 0) + 1
        now = self._now()
        if now - self._told.get(kind, -AGAIN_S) < AGAIN_S:
            return
        self._told[kind], self._since[kind] = now, 0
        say = log.warning if status >= 500 else log.info  # 4xx is the sender's to mend; a `retry` within a 200 is told by its cause, too
        told = "requests are refused" if status != 200 else "events are answered `retry`"
        say(told, status=status, code=code, requests=requests, request_id=request_id)
