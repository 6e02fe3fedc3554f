"""What the owner of partition 0 does for a type now and then after sealing: checkpoints of old entries, and the sweep. A bit at a time.

Nothing depends on it, and it may be done by two at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

import structlog

from hourmark.errors import LakeUnavailable
from hourmark.topics import Partition

from . import telemetry
from .compaction import compact
from .settings import Settings
from .store import Store
from .sweep import Standing, Waste, staging, standing, waste

log = structlog.get_logger()

AT_MOST: Final = 500  # files taken away at once
# What lies in staging for less long may be in someone's hands: a file being written, the object with which a worker that starts tries the
# lake. Taken away, the one is written again after a pause, and the other makes a good lake look unfit.
STAGED_LEAST_S: Final = 3600.0
STAGED_EVERY_S: Final = 600.0
LOOKS: Final = 10  # types asked for news at once


class Tidying:
    """Call `step` often: each looks after one partition at most. A type's turn comes every `sweep_every_s`, if an hour was sealed since."""

    def __init__(self, store: Store, settings: Settings, now: Callable[[], float]) -> None:
        self._store, self._settings, self._now = store, settings, now
        self._next: dict[str, float] = {}
        self._done: dict[str, int] = {}
        self._queue: deque[tuple[Partition, Standing]] = deque()
        self._staging_at = time.monotonic() + settings.sweep_every_s

    def step(self, event_types: Iterable[str]) -> None:
        moment = time.monotonic()
        try:
            if self._queue:
                self._first_of_queue()
            elif not self._look(event_types, moment) and moment >= self._staging_at:
                self._staging_at = moment + max(self._settings.sweep_every_s, STAGED_EVERY_S)
                age = max(self._settings.sweep_age_s, STAGED_LEAST_S)
                self._take_away(islice(staging(self._store, self._now() - age), AT_MOST))
        except LakeUnavailable as exc:
            log.info("the lake is tidied later", error=exc.message)

    def _first_of_queue(self) -> None:
        partition, stands = self._queue.popleft()
        try:
            self._tidy(partition, stands)
        except LakeUnavailable:
            self._queue.append((partition, stands))  # else its turn would come only when another hour is sealed
            raise

    def _look(self, event_types: Iterable[str], moment: float) -> bool:
        """Queue the partitions of the type that has waited longest, of those with news; False when none of the first few has any."""
        every = self._settings.sweep_every_s
        turns = sorted((self._next.setdefault(event_type, moment + every), event_type) for event_type in event_types)
        for when, event_type in turns[:LOOKS]:
            if when > moment:
                break
            self._next[event_type] = moment + every
            stands = standing(self._store, event_type)
            if stands is not None and self._done.get(event_type) != stands.hour:
                self._done[event_type] = stands.hour
                self._queue.extend((Partition(event_type, number), stands) for number in sorted(stands.plan.resume))
                return True
        return False

    def _tidy(self, partition: Partition, stands: Standing) -> None:
        gone = compact(self._store, partition, stands.plan.resume[partition.number].entry, self._settings.checkpoint_entries)
        if gone:
            telemetry.SWEPT.labels("entry").inc(gone)
        found = waste(self._store, partition, stands, self._now() - self._settings.sweep_age_s)
        self._take_away(islice(found, AT_MOST))

    def _take_away(self, found: Iterable[Waste]) -> None:
        for item in found:
            self._store.remove(item.path)
            telemetry.SWEPT.labels(item.kind).inc()
