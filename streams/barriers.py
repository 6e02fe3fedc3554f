"""Closes hours: writes barrier(H) into every owned raw partition, busy or idle, once our clock says that H has ended and a margin passed.

Doing it twice is harmless, and a barrier that the broker stamped before its hour's end is invalid: we see its append time and try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiokafka
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from dedup.deduplicator import PartitionState
from hourmark.crashpoints import clock, crashpoint
from hourmark.errors import BrokerUnavailable
from hourmark.event import raw_barrier_headers

from . import meters
from .connection import addresses, await_partition, security, unavailable
from .settings import Settings

log = structlog.get_logger()

SEND_S = 10.0


class BarrierWriter:
    """One producer of its own, not idempotent: a barrier that fails must not poison the producer of events, nor wait behind it."""

    def __init__(self, settings: Settings, now: Callable[[], float] = clock) -> None:
        self._settings, self._hours, self._now = settings, settings.hours, now
        self._producer: Any = None
        self._written: dict[TP, int] = {}
        self._troubled = False

    async def open(self) -> None:
        """Connect. Raises BrokerUnavailable."""
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=addresses(self._settings),
            acks="all",
            request_timeout_ms=int(SEND_S * 1000),
            metadata_max_age_ms=10_000,
            **security(self._settings),
        )
        try:
            await self._producer.start()
        except KafkaError as exc:
            raise unavailable(exc, "connecting to write barriers") from exc

    async def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    @property
    def tick(self) -> float:
        """Seconds between two looks at the clock."""
        return min(1.0, max(0.05, self._hours.margin_s / 4))

    def closable(self) -> int:
        """The newest hour that may be closed now: it has ended, and the margin for clock differences has passed."""
        return self._hours.of(int((self._now() - self._hours.margin_s) * 1000)) - 1

    async def close_hours(self, owned: Iterable[TP], states: Mapping[TP, PartitionState]) -> None:
        """Write a barrier wherever the newest closable hour is not closed yet. Never raises for the brokers: the next call tries again."""
        hour, owned = self.closable(), set(owned)
        if not self._written.keys() <= owned:
            self._written = {tp: written for tp, written in self._written.items() if tp in owned}
        due = sorted(tp for tp in owned if self._known(tp, states) < hour)
        if not due:
            return
        failed = [exc for exc in await asyncio.gather(*(self._write(tp, hour) for tp in due), return_exceptions=True) if exc is not None]
        for exc in failed:
            if not isinstance(exc, KafkaError | TimeoutError | OSError | BrokerUnavailable):
                raise exc  # a fault of ours: the worker ends, rather than leave hours open for ever with a warning
        if failed:
            meters.BARRIER_FAILURES.inc(len(failed))
            if not self._troubled:
                said = unavailable(failed[0], "the first of them").message
                log.warning("barriers could not be written, trying again", hour=hour, partitions=len(failed), error=said)
        self._troubled = bool(failed)

    def _known(self, tp: TP, states: Mapping[TP, PartitionState]) -> int:
        state = states.get(tp)
        closed = state.closed if state is not None else None
        return max(self._written.get(tp, -1), -1 if closed is None else closed)

    async def _write(self, tp: TP, hour: int) -> None:
        await asyncio.wait_for(await_partition(self._producer, tp.topic, tp.partition), SEND_S)
        batch = self._producer.create_batch()
        batch.append(key=None, value=None, timestamp=int(self._now() * 1000), headers=raw_barrier_headers(hour))
        done = await self._producer.send_batch(batch, tp.topic, partition=tp.partition)
        metadata = await asyncio.wait_for(done, SEND_S)
        crashpoint("dedup.barrier_written")
        end, at = self._hours.end_ms(hour), metadata.timestamp or -1
        if 0 <= at < end:
            raise BrokerUnavailable(f"the broker's clock is {end - at} ms before the end of the hour")
        self._written[tp] = hour
        meters.BARRIER_DELAY_S.observe(max(0.0, (at - end) / 1000))
