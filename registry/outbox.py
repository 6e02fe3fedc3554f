"""From the store's outbox to `hourmark.control`, in the order of revisions, at least once; readers go by the revision.

One loop per registry. A failed delivery is tried again from the oldest unpublished row; one warning per episode.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hourmark.errors import BrokerUnavailable, Unavailable
from hourmark.kafka import producer_config, translate
from hourmark.metrics import Gauge
from hourmark.topics import CONTROL

from .settings import Settings
from .store import OutboxRow, Store

log = structlog.get_logger()

UNPUBLISHED = Gauge("hourmark_registry_outbox_unpublished", "Changes of the catalogue that are not yet on hourmark.control")
BATCH = 500
DELIVERY_S = 10.0
IDLE_S = 5.0


class Publisher:
    """`stored` and `published` are revisions: all up to them are in the store, on the control topic. `trouble`: why not, if so."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.stored = 0
        self.published = 0
        self.trouble = ""
        self._store = store
        self._producer = Producer(producer_config(settings, linger_ms=0, delivery_timeout_ms=int(DELIVERY_S * 1000)))
        self._moved = asyncio.Condition()
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Take the two revisions from the store."""
        await self._refresh()

    async def committed(self, revision: int) -> None:
        """Told by writers after their transaction."""
        async with self._moved:
            self.stored = max(self.stored, revision)
            self._moved.notify_all()
        self._wake.set()

    async def wait_published(self, revision: int, timeout: float) -> None:
        """Return once `revision` is on the control topic. Raises BrokerUnavailable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self.published >= revision)
        except TimeoutError:
            told = f"revision {revision} is stored and will be broadcast as soon as Kafka answers"
            raise BrokerUnavailable(told, retry_after=2.0) from None

    async def wait_stored(self, since: int, timeout: float) -> None:
        """Return once a revision above `since` is stored, or after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self.stored > since)
        except TimeoutError:
            return

    async def run(self) -> None:
        """Publish for ever; cancel it to stop."""
        pause = 0.1
        while True:
            self._wake.clear()
            try:
                rows = await asyncio.to_thread(self._store.unpublished, BATCH)
                if rows:
                    await asyncio.to_thread(self._publish, rows)
                    await self._refresh()
                self.trouble, pause = "", 0.1
            except Unavailable as exc:
                if not self.trouble:
                    log.warning("the control topic takes nothing, changes wait in the outbox", code=exc.code, message=exc.message)
                self.trouble, pause = exc.message, min(2 * pause, 2.0)
                await asyncio.sleep(pause)
                continue
            if len(rows) < BATCH:
                await self._idle()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1.0)

    async def _refresh(self) -> None:
        newest, published, count = await asyncio.to_thread(self._store.outbox_state)
        UNPUBLISHED.set(count)
        async with self._moved:
            self.stored, self.published = max(self.stored, newest), published
            self._moved.notify_all()

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        """One partition and an idempotent producer: the rows arrive in this order, a schema before the event type that names it."""
        self._send(rows)
        self._store.mark_published(row.revision for row in rows)

    def _send(self, rows: Sequence[OutboxRow]) -> None:
        errors: list[KafkaError] = []
        acked = 0

        def delivered(error: KafkaError | None, _message: Message) -> None:
            nonlocal acked
            if error is None:
                acked += 1
            else:
                errors.append(error)

        try:
            for row in rows:
                self._producer.produce(CONTROL, key=row.key.encode(), value=row.value, partition=0, on_delivery=delivered)
        except (BufferError, KafkaException) as exc:
            self._producer.purge()
            raise BrokerUnavailable(f"writing to {CONTROL}: {exc}") from exc
        deadline = time.monotonic() + DELIVERY_S + 1.0
        while acked + len(errors) < len(rows) and not errors and time.monotonic() < deadline:
            self._producer.poll(0.1)
        if acked < len(rows):
            self._producer.purge()  # what is still queued must not arrive behind newer rows
            self._producer.poll(0)
            raise translate(errors[0], f"writing to {CONTROL}") if errors else BrokerUnavailable(f"writing to {CONTROL}: no answer")
