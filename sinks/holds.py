"""Partitions that have to wait because the world does not answer. Their records are dropped and read again: Kafka is the spool."""

from __future__ import annotations

import time
from typing import NamedTuple

import structlog

from hourmark.errors import PlatformError, Unavailable
from hourmark.topics import Partition

from . import telemetry

log = structlog.get_logger()

DELAY_MOST_S = 30.0


class _Hold(NamedTuple):
    """`until`: monotonic. `paused` False: the partition is read again, and keeps its delay until a flush has passed."""

    until: float
    delay: float
    code: str
    paused: bool


class Holds:
    """Who waits, for what, and until when. One warning per episode of one code; delays double while trouble lasts."""

    def __init__(self) -> None:
        self._held: dict[Partition, _Hold] = {}

    def add(self, partition: Partition, reason: PlatformError) -> None:
        before = self._held.get(partition)
        retry_after = reason.retry_after if isinstance(reason, Unavailable) else 1.0
        delay = retry_after if before is None else min(before.delay * 2, DELAY_MOST_S)
        if not any(hold.code == reason.code for hold in self._held.values()):
            where = {"event_type": partition.event_type, "partition": partition.number}
            log.warning("on hold: nothing is lost, nothing is committed", code=reason.code, error=reason.message, **where)
        telemetry.HOLDS.labels(reason.code).inc()
        self._held[partition] = _Hold(time.monotonic() + delay, delay, reason.code, paused=True)
        self._tell(partition, {reason.code, before.code if before is not None else reason.code})

    def due(self) -> list[Partition]:
        """Those whose time has come to be read again."""
        moment = time.monotonic()
        return [partition for partition, hold in self._held.items() if hold.paused and hold.until <= moment]

    @property
    def partitions(self) -> list[Partition]:
        return list(self._held)

    def reading(self, partition: Partition) -> None:
        """It is read again; whether the trouble is over, the next flush will tell."""
        self._held[partition] = self._held[partition]._replace(paused=False)

    def passed(self, partition: Partition) -> None:
        """A flush of it went through."""
        if self.forget(partition) and not self._held:
            log.info("no partition is on hold any more")

    def forget(self, partition: Partition) -> bool:
        """It belongs to another worker now. True when it was held."""
        hold = self._held.pop(partition, None)
        if hold is not None:
            self._tell(partition, {hold.code})
        return hold is not None

    def _tell(self, partition: Partition, codes: set[str]) -> None:
        for code in codes:
            held = sum(hold.code == code for other, hold in self._held.items() if other.event_type == partition.event_type)
            telemetry.HELD.labels(partition.event_type, code).set(held)

    def reason(self) -> str | None:
        """Why the worker is not ready, None when nothing waits."""
        held = list(self._held.values())  # asked by other threads
        codes = sorted({hold.code for hold in held if hold.paused})
        return f"{len(held)} partitions on hold: {', '.join(codes)}" if codes else None
