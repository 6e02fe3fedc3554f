"""The worker's lag by event type on its metrics page: records that are not finished, and the age of the oldest of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from faust.types import TP

from hourmark.lag import LagBook, LagPage
from hourmark.schemas import EventType

from . import meters


class Lag:
    """`book` is told by the pipeline which append times are finished."""

    def __init__(self, book: LagBook, now: Callable[[], float] = time.time) -> None:
        self._book, self._now = book, now
        self._page = LagPage(meters.LAG, meters.LAG_SECONDS)

    def show(self, done: Mapping[TP, int], ends: Mapping[TP, int], types: Mapping[str, EventType]) -> None:
        """`done` and `ends`: next offsets to be finished, and to be written. Types of which no partition is owned leave the page."""
        now = self._now()
        records: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for tp, end in ends.items():
            found = types.get(tp.topic)
            if found is None or tp not in done:
                continue
            behind = max(0, end - done[tp])
            records[found.event] = records.get(found.event, 0) + behind
            seconds[found.event] = max(seconds.get(found.event, 0.0), self._book.look(tp, behind, now))
        self._page.show(records, seconds)
        self._book.keep(set(ends))
