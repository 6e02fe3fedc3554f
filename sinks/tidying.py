"""What the owner of partition 0 does for a type now and then after sealing: checkpoints of old entries, and the sweep. A bit at a time.

Nothing depends on it, and it may be done by two at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import structlog

from hourmark.errors import LakeUnavailable
from hourmark.topics import Partition

from . import telemetry
from .compaction import compact
from .settings import Settings
from .store import Store
from .sweep import Standing, Waste, staging, standing, waste

log = structlog.get_logger()

AT_MOST = 500  # files taken away at once


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
                self._tidy(*self._queue.popleft())
            elif not self._look(event_types, moment) and moment >= self._staging_at:
                self._staging_at = moment + self._settings.sweep_every_s
                self._take_away(islice(staging(self._store, self._now() - self._settings.sweep_age_s), AT_MOST))
        except LakeUnavailable as exc:
            log.info("the lake is tidied later", error=exc.message)

    def _look(self, event_types: Iterable[str], moment: float) -> bool:
        """Queue the partitions of the type that has waited longest; False when there is nothing to do for it."""
        every = self._settings.sweep_every_s
        turns = [(self._next.setdefault(event_type, moment + every), event_type) for event_type in event_types]
        when, event_type = min(turns, default=(moment + 1, ""))
        if when > moment:
            return False
        self._next[event_type] = moment + every
        stands = standing(self._store, event_type)
        if stands is None or self._done.get(event_type) == stands.hour:
            return False
        self._done[event_type] = stands.hour
        self._queue.extend((Partition(event_type, number), stands) for number in sorted(stands.plan.resume))
        return True

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
