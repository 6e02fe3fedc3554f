"""From the store's outbox to `hourmark.control`, in the order of revisions, at least once; readers go by the revision.

One loop per registry, and any of them publishes what all have stored. A failed delivery is tried again from the oldest unpublished row;
one warning per episode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from hourmark.crashpoints import crashpoint
from hourmark.errors import BrokerUnavailable, Unavailable
from hourmark.metrics import Gauge
from hourmark.topics import CONTROL

from .broadcast import Fenced, Pen
from .settings import Settings
from .store import Store

log = structlog.get_logger()

UNPUBLISHED = Gauge("hourmark_registry_outbox_unpublished", "Changes of the catalogue that are not yet on hourmark.control")
PUBLISHED = Gauge("hourmark_registry_published_revision", "Newest revision such that it and all before are on hourmark.control")
BATCH = 500
IDLE_S = 5.0
SHARED_IDLE_S = 1.0  # what another registry stored before it died is published this soon
LOOK_S = 0.2  # how often someone who waits for another registry's change is answered
FENCED_MOST = 5


class Publisher:
    """`stored` and `published` are revisions: all up to them are in the store, on the control topic. `trouble`: why not, if so."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.stored = 0
        self.published = 0
        self.trouble = ""
        self._settings, self._store = settings, store
        self._pen: Pen | None = None
        self._moved = asyncio.Condition()
        self._wake = asyncio.Event()
        self._waiting = 0
        # Asked at each scrape: while Kafka does not answer, the loop below hangs in a write and would set no gauge.
        UNPUBLISHED.set_function(lambda: self.stored - self.published)
        PUBLISHED.set_function(lambda: self.published)

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
        if not await self._wait(lambda: self.published >= revision, timeout):
            told = f"revision {revision} is stored and will be broadcast as soon as Kafka answers"
            raise BrokerUnavailable(told, retry_after=2.0)

    async def wait_stored(self, since: int, timeout: float) -> None:
        """Return once a revision above `since` is stored, by whichever registry, or after `timeout` seconds."""
        await self._wait(lambda: self.stored > since, timeout)

    async def run(self) -> None:
        """Publish for ever; cancel it to stop."""
        pause = 0.1
        while True:
            self._wake.clear()
            try:
                await asyncio.to_thread(self._publish)
                await self._refresh()
                self.trouble, pause = "", 0.1
            except Unavailable as exc:
                if not self.trouble:
                    log.warning("changes wait in the outbox", code=exc.code, message=exc.message)
                self.trouble, pause = exc.message, min(2 * pause, 2.0)
                await asyncio.sleep(pause)
                continue
            await self._idle()

    def close(self) -> None:
        if self._pen is not None:
            self._pen.drop()

    async def _wait(self, found: Callable[[], bool], timeout: float) -> bool:
        """Until `found`, which is looked at after every change of the two revisions; False after `timeout` seconds."""
        self._waiting += 1
        if self._store.shared:
            self._wake.set()  # the loop may be in a long pause, and the change another registry's
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(found)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def _idle(self) -> None:
        pause = IDLE_S if not self._store.shared else LOOK_S if self._waiting else SHARED_IDLE_S
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _refresh(self) -> None:
        newest, published, _count = await asyncio.to_thread(self._store.outbox_state)
        async with self._moved:
            self.stored, self.published = max(self.stored, newest), published
            self._moved.notify_all()

    def _publish(self) -> None:
        """Everything that is not yet published, by whomever it was stored. Raises Unavailable."""
        if not self._store.unpublished(1):
            return
        if self._pen is None:
            self._pen = Pen(self._settings, self._store.identity())
        fenced = 0
        with self._store.publishing():
            while fenced < FENCED_MOST:
                self._pen.take()  # before reading: whatever others still had under way is decided then
                rows = self._store.unpublished(BATCH)
                if not rows:
                    return
                try:
                    self._pen.write(rows)
                except Fenced:
                    fenced += 1
                    continue
                crashpoint("registry.published")
                self._store.mark_published(row.revision for row in rows)
                crashpoint("registry.marked")
        raise BrokerUnavailable(f"writing to {CONTROL}: others take the pen again and again")
