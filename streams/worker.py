"""The life of a dedup worker: wait for what it needs, run the Faust app, follow the catalogue, close hours, and stop in order.

Whatever must not happen ends the process before anything more is committed; whatever may pass is waited for, with one clear line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import structlog
from confluent_kafka.admin import AdminClient

from dedup.backends import day_sealing
from dedup.backends import open_index as make_index
from dedup.index import Index
from dedup.plain import PlainIndex
from dedup.reassert import Failover, ReassertingIndex
from dedup.usage import usage
from hourmark.control import ControlTail
from hourmark.errors import IndexUnavailable, InvariantBroken, Unavailable
from hourmark.kafka import client_config, wait_for_topics
from hourmark.metrics import MetricsPage
from hourmark.runtime import EXIT_BROKEN, EXIT_UNREACHABLE, hard_exit_after, until_signal
from hourmark.topics import REJECTED
from hourmark.why_away import WhyAway

from . import meters
from .app import DedupApp, consumer_of, create_app
from .barriers import BarrierWriter
from .beginning import open_index
from .brokers import BrokerDisks
from .catalogue import Catalogue
from .connection import security
from .day_seal import DaySealer
from .emit import Emitter
from .groups import wait_for_group
from .lag import Lag
from .pipeline import Pipeline
from .quiet import NotOurs, OncePerEpisode
from .settings import Settings
from .stale import newest_settled, refuse_stale
from .watchdog import Watchdog, lag_of

log = structlog.get_logger()
T = TypeVar("T")

RECONCILE_S = 0.25
STOP_S = 3.0
MEASURE_S = 15.0


class Worker:
    """`run` returns when it was asked to stop and has stopped in order; it raises when the process must end."""

    def __init__(self, settings: Settings, *, index: Index | None = None) -> None:
        self.settings = settings
        memory = index or make_index(settings)
        self._memory = memory
        self.index = ReassertingIndex(memory, settings.reassert_seconds, _failed_over)
        self.emitter = Emitter(settings)
        self.pipeline = Pipeline(settings, self.index, self.emitter)
        self.lag = Lag(self.pipeline.lags)
        self.barriers = BarrierWriter(settings)
        self.catalogue = Catalogue(settings)
        self.tail = ControlTail(settings, "streams", reports=False, ready=self.not_ready)
        sealing = day_sealing(settings, memory)
        self.day_sealer = DaySealer(settings, sealing, lambda: self.tail.snapshot) if sealing is not None else None
        self.app: DedupApp | None = None
        self._waiting = "starting"

    async def run(self, stop: Awaitable[None]) -> None:
        """Work until `stop` is done. Raises what ended the work otherwise."""
        stopping = asyncio.ensure_future(stop)
        page = MetricsPage(self.settings, self.not_ready)
        try:
            if await self._until(stopping, self._prepare(stopping)):
                await self._work(stopping)
        finally:
            page.close()
            closings = (asyncio.wait_for(close(), STOP_S) for close in (self.emitter.close, self.barriers.close, self.index.close))
            await asyncio.gather(*closings, return_exceptions=True)  # leaving anyway; what counts was acknowledged and committed
            await asyncio.to_thread(self.tail.close)

    def not_ready(self) -> str | None:
        """None when polls are processed, else what is being waited for."""
        if self.app is None:
            return self._waiting or self.catalogue.rights.reason()
        if self.pipeline.away:
            return "the id index is away"
        return self.catalogue.rights.reason() if self.app.has_its_share else "rebalancing"

    def _wait_for(self, what: str) -> None:
        self._waiting = what

    async def _prepare(self, stopping: asyncio.Future[None]) -> bool:
        """Kafka, the platform's topics, the catalogue, the index, and at least one event type."""
        self._waiting = "waiting for Kafka and the platform topics"
        self.tail.start()
        admin = AdminClient(client_config(self.settings))
        await asyncio.to_thread(wait_for_topics, admin, (REJECTED,), stopping.done, log.warning, WhyAway(self.settings))
        await asyncio.to_thread(wait_for_group, admin, self.settings.group, stopping.done, log.warning)
        self._waiting = "waiting for the id index"
        await open_index(self.settings, self.index, self._wait_for)
        self._waiting = "waiting for the catalogue"
        while not await asyncio.to_thread(self.tail.usable, 0.5):
            pass
        await open_index(self.settings, self.index, self._wait_for, self._refuse_stale)
        self._waiting = "connecting"
        await self.emitter.open()
        await self.barriers.open()
        while True:
            revision, complete = self.tail.snapshot.revision, await self._update_catalogue()
            if self.catalogue.types:
                break
            if complete:
                self._waiting = ""  # without event types there is nothing to do, and nothing to wait for
                self.tail.applied(revision)
            await asyncio.sleep(RECONCILE_S)
        self._waiting = "starting"  # called ready now, it would be found unwell as long as its group forms
        return True

    async def _refuse_stale(self) -> None:
        """Raises IndexLost when the index is older than what has been committed. The compact index is not asked: it forgets by itself."""
        if isinstance(self._memory, PlainIndex):
            found = await asyncio.to_thread(newest_settled, self.settings, self.tail.snapshot)
            await refuse_stale(self.settings, self._memory, found)

    async def _update_catalogue(self) -> bool:
        complete = await self.catalogue.update(self.tail.snapshot)
        # Types that went away stay known for the polls still in flight.
        self.pipeline.types = {**self.pipeline.types, **self.catalogue.types}
        return complete

    async def _work(self, stopping: asyncio.Future[None]) -> None:
        app = self.app = create_app(self.settings, self.pipeline, frozenset(self.catalogue.types))
        log.info("dedup worker starts", group=self.settings.group, topics=len(self.catalogue.types))
        tasks = [
            asyncio.create_task(work)
            for work in (self._start(app), self._reconcile(app), self._close_hours(app), self._watch(app), self.pipeline.retry_held())
        ]
        tasks.append(asyncio.create_task(self.index.watch()))
        tasks.append(asyncio.create_task(self._measure_index()))
        tasks.append(asyncio.create_task(BrokerDisks(self.emitter.brokers, security(self.settings)).run()))
        if self.day_sealer is not None:
            tasks.append(asyncio.create_task(self.day_sealer.run()))
        crashed = asyncio.create_task(app._crashed.wait())
        try:
            ends: set[asyncio.Future[Any]] = {stopping, app.failure, crashed, *tasks}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            failure = self._failure(app, tasks)
            if failure is not None:
                app.fail(failure)
                hard_exit_after(STOP_S * 4, EXIT_UNREACHABLE if isinstance(failure, Unavailable) else EXIT_BROKEN)
            else:
                await consumer_of(app).drain()  # the poll in hand is finished and committed
            for task in (*tasks, crashed):
                task.cancel()
            with contextlib.suppress(TimeoutError, Exception):  # the group notices by itself; nothing is committed any more
                await asyncio.wait_for(app.stop(), STOP_S)
            if failure is not None:
                raise failure
            log.info("dedup worker stopped", polls=self.pipeline.polls)
        finally:
            for task in (*tasks, crashed):
                task.cancel()

    @staticmethod
    def _failure(app: DedupApp, tasks: list[asyncio.Task[None]]) -> BaseException | None:
        if app.failure.done():
            return app.failure.result()
        for task in tasks:
            if task.done() and not task.cancelled() and (exc := task.exception()) is not None:
                return exc
        if app.crashed:
            return app.crash_reason or InvariantBroken("the Faust app ended by itself")
        return None

    async def _start(self, app: DedupApp) -> None:
        await app.start()
        await asyncio.Event().wait()  # its children live on; this task ends with the others

    async def _reconcile(self, app: DedupApp) -> None:
        """Catalogue → subscription, until both are equal; then the revision counts as applied."""
        done: object = None
        while True:
            await asyncio.sleep(RECONCILE_S)
            snapshot = self.tail.snapshot
            if snapshot is done or app.rebalancing:
                continue
            complete = await self._update_catalogue()
            wanted = frozenset(self.catalogue.types)
            consumer = consumer_of(app)
            if wanted and wanted != consumer.topics_now:
                for channel in list(app.topics):
                    channel.topics = sorted(wanted)
                conductor: Any = app.topics
                conductor._flag_changes()
            elif complete and app.has_its_share:
                self.tail.applied(snapshot.revision)
                done = snapshot
            else:
                await asyncio.sleep(RECONCILE_S * 2)

    async def _close_hours(self, app: DedupApp) -> None:
        while True:
            await asyncio.sleep(self.barriers.tick)
            consumer = consumer_of(app)
            ledger = consumer.ledger
            if ledger is not None and not ledger.stale and not app.rebalancing:
                await self.barriers.close_hours(ledger.states.keys() & consumer.assignment(), ledger.states)

    async def _watch(self, app: DedupApp) -> None:
        """Lag, gauges, and the watchdog."""
        watchdog, rebalances = Watchdog(self.settings.watchdog_s), 0
        while True:
            await asyncio.sleep(min(5.0, self.settings.watchdog_s / 4))
            consumer = consumer_of(app)
            lag: int | None = None
            if not app.rebalancing and consumer.ledger is not None:
                done = consumer.ledger.done
                with contextlib.suppress(Exception):  # no answer is what the watchdog wants to know
                    ends = await asyncio.wait_for(consumer._thread.ends(), 10.0)
                    lag = lag_of(done, ends)
                    self.lag.show(done, ends, self.pipeline.types)
                meters.OPEN_HOURS.set(max((len(state.tallies) for state in consumer.ledger.states.values()), default=0))
                meters.PARTITIONS.set(len(consumer.assignment()))
            meters.REBALANCES.inc(app.rebalancing_count - rebalances)
            rebalances = app.rebalancing_count
            watchdog.look(self.pipeline.polls, lag, self.pipeline.away)

    async def _measure_index(self) -> None:
        while True:
            with contextlib.suppress(IndexUnavailable):  # the claims tell of it
                meters.show_usage(await usage(self._memory))
            await asyncio.sleep(MEASURE_S)

    async def _until(self, stopping: asyncio.Future[None], work: Coroutine[Any, Any, bool]) -> bool:
        """The result of `work`, or False when the stop came first."""
        task = asyncio.create_task(work)
        either: set[asyncio.Future[Any]] = {task, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return False


def _failed_over(failover: Failover) -> None:
    meters.FAILOVERS.inc()
    meters.REASSERTED.inc(failover.asserted)
    meters.DOUBLED.inc(failover.doubled)
    say = log.error if failover.doubled else log.warning
    told = "the id index came back as another server, or restarted: the last claims were made again"
    say(told, code="events_doubled" if failover.doubled else "index_failed_over", **failover._asdict())


async def main(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    if settings.cpu >= 0 and hasattr(os, "sched_setaffinity"):
        # Records are made by the consumer's thread and read by ours; on two cores each of them crosses over (0.35 µs an event).
        os.sched_setaffinity(0, {settings.cpu})
    security(settings)  # refuses at once what aiokafka cannot do
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # every reconnect is a warning there; ours come once per episode
    for handler in logging.getLogger().handlers:
        for library in ("aiokafka", "faust", "mode", "streams.consumer_thread"):  # the last speaks for mode, about our thread
            handler.addFilter(OncePerEpisode(library))
        handler.addFilter(NotOurs())
    await Worker(settings).run(until_signal())
