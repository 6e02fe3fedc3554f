"""Lets one line of each kind through per episode: while Kafka is away its client says the same some twenty times a second.

And none of Faust about an error of ours, which ends the process and is told there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from hourmark.errors import PlatformError

EPISODE_S: Final = 30.0


class OncePerEpisode(logging.Filter):
    """For handlers. Of loggers below `name`; all others pass. A kind is a logger and its message before the values go in.

    A kind that is silent for `EPISODE_S` begins a new episode.
    """

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name)
        self._now = now
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not super().filter(record):  # not below our name
            return True
        now, kind = self._now(), (record.name, str(record.msg)[:80])
        began = now - self._last.get(kind, -EPISODE_S) >= EPISODE_S
        self._last[kind] = now
        return began


class NotOurs(logging.Filter):
    """For handlers: drops what libraries say, trace and all, of a PlatformError that went through them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], PlatformError))
