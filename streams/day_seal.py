"""Seals days of the id index in the background: when every raw partition of every event type has committed past a day's end.

The committed offset's state says so by itself: its partition has closed the last hour of the day, so no record behind the offset belongs
to that day any more, and no replay from there asks for an owner of it. Claims never wait for any of this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from confluent_kafka.admin import AdminClient

from dedup.index import HOURS_A_DAY
from dedup.sealing import Days, DaySealing
from hourmark.errors import BrokerUnavailable, IndexUnavailable
from hourmark.hours import label
from hourmark.kafka import client_config
from hourmark.schemas import Snapshot

from . import meters
from .catalogue import wanted_types
from .groups import Where, groups_of, kept
from .settings import Settings
from .state import decode_state

log = structlog.get_logger()

LONGEST_TICK_S = 30.0
PATIENCE_S, PATIENCE_DAYS = 60.0, 1 / 12  # the longer of both passes before a partition that holds a day back is named


class DaySealer:
    """`snapshot`: the catalogue, of all shards. `now`: our clock, only to see that a day may be over."""

    def __init__(
        self, settings: Settings, sealing: DaySealing, snapshot: Callable[[], Snapshot], now: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._sealing, self._snapshot, self._now = settings, sealing, snapshot, now
        self._admin = AdminClient(client_config(settings))
        self._passed, self._sealed, self._missing = 0, 0, 0
        self._held_since = now()
        self._told: set[str] = set()

    async def run(self) -> None:
        """Runs for ever. Raises when the process must end."""
        tick = min(LONGEST_TICK_S, max(0.5, self._settings.hours.days_s(1) / 200))
        while True:
            try:
                await self.step()
                self._told.discard("away")
            except (IndexUnavailable, BrokerUnavailable) as exc:
                self._once("away", "days of the id index are not sealed for now, trying again", error=exc.message)
            await asyncio.sleep(tick)

    async def step(self) -> None:
        """One look, and whatever it allows. Raises IndexUnavailable and BrokerUnavailable: call again."""
        self._passed = max(self._passed, await self._look())
        days = await self._sealing.round(self._passed)
        if days is not None:
            self._show(days)

    async def _look(self) -> int:
        """The newest day that all partitions have passed, 0 when one of them has not committed yet."""
        over = self._today() - 1
        if self._passed >= over:
            return self._passed
        types = wanted_types(self._snapshot(), self._settings.types)
        closed = await asyncio.to_thread(committed_closed, self._admin, self._settings.app_id)
        passed, last = passed_day(closed, {topic: found.partitions for topic, found in types.items()})
        self._held_since = self._now() if passed >= over or not types else self._held_since
        if self._now() - self._held_since > max(PATIENCE_S, self._settings.hours.days_s(PATIENCE_DAYS)):
            self._once("held", "a day of the id index is not sealed: a partition is not past it yet", partition=last, day=_date(over))
        elif passed >= over:
            self._told.discard("held")
        return passed

    def _today(self) -> int:
        return self._settings.hours.of(int(self._now() * 1000)) // HOURS_A_DAY

    def _show(self, days: Days) -> None:
        meters.SEALED_DAY.set(days.sealed)
        meters.INDEX_IDS.set(days.ids)
        meters.INDEX_BYTES_PER_ID.set(days.used_bytes / days.ids if days.ids else 0)
        meters.WINDOW_MISSING_DAYS.set(days.missing_days)
        if days.moved and days.sealed > self._sealed:
            log.info("a day of the id index is sealed", day=_date(days.sealed), ids=days.moved)
        self._sealed = max(self._sealed, days.sealed)
        if days.missing_days > self._missing:
            log.warning(
                "the window of the id index is shortened, since its server is nearly full: older copies would not be recognised. "
                "Give the server more memory (maxmemory); the window grows back by itself",
                window_days=self._settings.window_days - days.missing_days,
                wanted_days=self._settings.window_days,
            )
        self._missing = days.missing_days
        if days.full:
            self._once("full", "the server of the id index is nearly full, and its window cannot get shorter any more: raise maxmemory now")
        else:
            self._told.discard("full")

    def _once(self, episode: str, said: str, **facts: object) -> None:
        if episode not in self._told:
            self._told.add(episode)
            log.warning(said, **facts)


def passed_day(closed: Mapping[Where, int | None], partitions: Mapping[str, int]) -> tuple[int, str]:
    """The newest day that every partition has closed to its last hour, 0: not all have committed; and the partition that is last.

    `closed`: committed, by raw topic and number. `partitions`: how many each raw topic has at least.
    """
    least, last = None, ""
    wanted = {(topic, number) for topic, count in partitions.items() for number in range(count)}
    for where in wanted | {found for found in closed if found[0] in partitions}:
        hour = closed.get(where)
        day = 0 if hour is None else (hour + 1) // HOURS_A_DAY - 1
        if least is None or day < least:
            least, last = day, f"{where[0]}[{where[1]}]"
    return max(0, least or 0), last


def committed_closed(admin: AdminClient, app_id: str) -> dict[Where, int | None]:
    """The newest closed hour of each partition, as the committed offsets of all shards' groups say; None: they say none.

    Raises BrokerUnavailable and InvariantBroken.
    """
    best: dict[Where, tuple[int, int | None]] = {}
    for group in groups_of(admin, app_id):
        for where, progress in kept(admin, group).items():
            if progress.moved_to is None and progress.offset > best.get(where, (-1, None))[0]:
                said = progress.metadata
                best[where] = progress.offset, decode_state(said, f"{where[0]}[{where[1]}]").closed if said else None
    return {where: closed for where, (_, closed) in best.items()}


def _date(day: int) -> str:
    return label(day * HOURS_A_DAY).split("T")[0]
