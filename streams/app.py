"""The Faust app of a dedup worker: one agent that takes one poll at a time. `create_app` wires it; streams/worker.py lives its life."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from faust.types.auth import SASLMechanism
from yarl import URL

from . import transport
from .connection import addresses, security
from .groups import Where, past_elsewhere
from .ledger import Poll
from .pipeline import Pipeline
from .settings import Settings
from .transport import BatchConsumer


class DedupApp(faust.App):
    """`failure` is set once, by the first thing that must end the process; from then on nothing is committed.

    `past_elsewhere`: partition → another group that has read it. Blocking; raises BrokerUnavailable.
    """

    failure: asyncio.Future[BaseException]
    past_elsewhere: Callable[[Collection[Where]], dict[Where, str]]
    _idle_with: frozenset[str] | None = None  # the subscription for which the group gave us nothing

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._idle_with = None if assigned else consumer_of(self).topics_now
        await super()._on_partitions_assigned(assigned, generation_id)

    @property
    def has_its_share(self) -> bool:
        """Every partition that the group gives us is being read; that may be none, when it has more workers than partitions."""
        consumer: Any = self._consumer  # asked by other threads: `consumer` would make one
        if consumer is None or self.rebalancing:
            return False
        if consumer.ledger is not None and not consumer.ledger.stale:
            return True
        return self._idle_with is not None and bool(self._idle_with == consumer.topics_now)

    def fail(self, exc: BaseException) -> None:
        """End the process: the worker waits for `failure`. Safe to call more than once."""
        consumer: Any = self._consumer
        if consumer is not None:
            consumer.frozen = True
        if not self.failure.done():
            self.failure.set_result(exc)


def create_app(settings: Settings, pipeline: Pipeline, topics: frozenset[str]) -> DedupApp:
    """A worker app that reads these raw topics (at least one). Call inside a running loop; start it with `await app.start()`."""
    app = DedupApp(
        settings.group,
        broker=[URL(f"{transport.SCHEME}://{address}") for address in addresses(settings)],
        broker_credentials=_credentials(settings),
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=min(1.0, settings.session_timeout / 4),
        broker_commit_interval=settings.commit_interval,
        broker_max_poll_records=settings.max_poll,
        consumer_max_fetch_size=settings.fetch_bytes,
        # A group's leader that does not know a new topic yet assigns nothing of it, until its metadata is renewed.
        consumer_metadata_max_age_ms=1_000,
        # Never used to choose an offset: every partition is sought to its committed offset (or 0), and every gap is an OffsetLost.
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,  # the transport drains by itself
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        agent_supervisor="mode.CrashingSupervisor",
        datadir=_scratch(settings),
        loop=asyncio.get_running_loop(),
    )
    app.failure = asyncio.get_running_loop().create_future()
    app.past_elsewhere = partial(past_elsewhere, settings)
    channel = app.topic(*sorted(topics), key_serializer="raw", value_serializer="raw", maxsize=1)

    async def dedup(stream: Any) -> None:
        try:
            await _process_all(app, pipeline, stream)
        except Exception as exc:
            app.fail(exc)
            raise

    app.agent(channel, name="dedup")(dedup)
    pipeline.pause = lambda topics, paused: consumer_of(app).hold_topics(topics, paused)
    return app


def consumer_of(app: DedupApp) -> BatchConsumer:
    """The app's consumer, which our transport made."""
    consumer = app.consumer
    assert isinstance(consumer, BatchConsumer)
    return consumer


async def _process_all(app: DedupApp, pipeline: Pipeline, stream: Any) -> None:
    gc.collect()
    gc.freeze()  # what exists now stays: full collections would walk it every few polls
    gc.set_threshold(50_000, 20, 50)
    consumer = consumer_of(app)
    async for event in stream.noack().events():
        poll: Poll = event.value
        if consumer.take(poll):
            try:
                await pipeline.process(poll)
            finally:
                consumer.working = None
        event.ack()


def _scratch(settings: Settings) -> Path:
    """Faust wants a folder; nothing of ours is in it."""
    folder = settings.home / "tmp" / f"faust-{settings.group}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _credentials(settings: Settings) -> Any:
    found = security(settings)
    if found["security_protocol"].startswith("SASL"):
        return faust.SASLCredentials(
            username=found["sasl_plain_username"],
            password=found["sasl_plain_password"],
            mechanism=SASLMechanism(found["sasl_mechanism"]),
            ssl_context=found.get("ssl_context"),
        )
    return faust.SSLCredentials(found["ssl_context"]) if "ssl_context" in found else None
