"""The sink worker: one thread that reads clean topics, writes parts and commit entries, and seals hours.

The commit chain in the lake is the truth; group offsets are a hint for lag tools. Killed at any instruction, the next owner goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaException

from hourmark.control import ControlTail
from hourmark.crashpoints import clock
from hourmark.errors import BrokerUnavailable, LakeUnavailable, Unavailable
from hourmark.kafka import translate
from hourmark.metrics import MetricsPage
from hourmark.rights import READ, Rights
from hourmark.runtime import node_name
from hourmark.schemas import Snapshot
from hourmark.topics import Partition, clean_topic, event_type_of

from . import telemetry
from .batches import HourlyBatches, PartitionBuffer
from .catalogue import Catalogue, Schemas
from .clean_log import CleanLogs
from .columnar import ColumnarDecoder
from .commits import CommitChain, Tip
from .decode import Decoder, RowDecoder
from .edge import Stop, consumer_config, follow_control
from .flush import Flushed, Flusher, Shapes
from .holds import Holds
from .intake import Intake
from .lag import Lag
from .lake import open_store
from .memory import give_back
from .outbox import KafkaOutbox, Outbox
from .probe import await_fit
from .room import show_room
from .seal import Sealer
from .settings import Settings
from .steering import Steering
from .store import Store
from .tidying import Tidying

log = structlog.get_logger()

POLL_RECORDS = 10_000
POLL_S = 0.1
SEAL_SLICE_S = 0.5
EVERY_S = 1.0
NEWS_S = 0.25  # so soon after a change of the catalogue
ASSIGN_PATIENCE_S = 240.0  # below max.poll.interval.ms, after which the group would think us dead


class Seams(NamedTuple):
    """What tests and tools may put in place of the real thing. None: the real thing, from the settings."""

    store: Store | None = None
    catalogue: Catalogue | None = None
    outbox: Outbox | None = None
    decoder: Decoder | None = None
    now: Callable[[], float] = clock


class SinkWorker:
    """`run(stop)` blocks until `stop` is set. Raises InvariantBroken when going on could lose or double an event."""

    def __init__(self, settings: Settings, seams: Seams | None = None) -> None:
        seams = seams or Seams()
        self._settings, self._seams, self._now = settings, seams, seams.now
        self.store = seams.store or open_store(settings.lake_url, settings.plain_lake_options)
        self._chain = CommitChain(self.store)
        self.batches = HourlyBatches(settings.buffer_bytes, settings.part_bytes)
        self._intake = Intake(self.batches)
        self._logs = CleanLogs(settings)
        self._holds = Holds()
        self._rights = Rights(settings)
        self._subscribed: set[str] = set()
        self._followed: Snapshot | None = None
        self._last_turn = 0.0
        self._consumer: Any = None
        self._catalogue: Catalogue | None = seams.catalogue
        self._flusher: Flusher | None = None
        self._steering: Steering | None = None
        self.sealer: Sealer | None = None

    def ready(self) -> str | None:
        """None while the worker does its work, else why not."""
        if time.monotonic() - self._last_turn > 30.0:
            return "the loop has not turned for 30 s" if self._last_turn else "starting"
        return self._holds.reason() or self._rights.reason()

    def run(self, stop: Stop) -> None:
        page = MetricsPage(self._settings, self.ready)
        tail: ControlTail | None = None
        try:
            await_fit(self.store, self._settings.lake_url, stop)
            show_room(self._settings.lake_url)
            if self._catalogue is None:
                tail = follow_control(self._settings, stop, self.ready)
                self._catalogue = tail
            self._wire(self._catalogue)
            self._consumer = Consumer(consumer_config(self._settings))
            self._steering = Steering(self._consumer, self.batches, self._chain, self._holds)
            try:
                self._loop(stop)
            finally:
                self._consumer.close()
        except KafkaException as exc:
            raise translate(exc, "the sink's consumer") from exc
        finally:
            if tail is not None:
                tail.close()
            page.close()

    def _wire(self, catalogue: Catalogue) -> None:
        settings, seams = self._settings, self._seams
        shapes = Shapes(Schemas(catalogue, settings.registry_url, settings.schema_wait_s))
        outbox = seams.outbox or KafkaOutbox(settings)
        decoder = seams.decoder or (RowDecoder() if settings.decoder == "row" else ColumnarDecoder())
        self._flusher = Flusher(self.store, shapes, decoder, outbox, node_name(settings, "sinks"))
        self.sealer = Sealer(self.store, catalogue, shapes, outbox, settings.hours, self._now)
        self._tidying = Tidying(self.store, settings, self._now)

    def _loop(self, stop: Stop) -> None:
        assert self.sealer is not None
        assert self._steering is not None
        assert self._catalogue is not None
        self._stop = stop
        lag = Lag(self._consumer, self.batches)
        next_round = next_news = 0.0
        while not stop.is_set():
            self._last_turn = moment = time.monotonic()
            if moment >= next_news and (self._catalogue.snapshot is not self._followed or self._rights.lacking):
                next_news = moment + (EVERY_S if self._rights.lacking else NEWS_S)
                self._reconcile()
            if moment >= next_round:
                next_round = moment + EVERY_S
                self._steering.tell()
                self._steering.resume_held()
                self._tidying.step(self.sealer.types)
                telemetry.BUFFERED.set(self.batches.bytes)
                telemetry.PARTITIONS.set(len({buffer.partition for buffer in self.batches} | set(self._holds.partitions)))
                lag.show(self._holds.partitions)
            if not self._subscribed:
                stop.wait(POLL_S)
                continue
            asked = time.monotonic()
            records = self._consumer.consume(POLL_RECORDS, POLL_S)
            waited = time.monotonic() - asked
            self._steering.follow_gaps(self._intake.take(records))
            for buffer in self.batches.due():
                self._flush(buffer)
            self.sealer.step(time.monotonic() + SEAL_SLICE_S)
            telemetry.BUSY.inc(max(0.0, time.monotonic() - moment - waited))

    def _reconcile(self) -> None:
        """Subscribe to the clean topic of every type that the catalogue knows: they exist before their types are announced.

        But for those that Kafka would not let us read: they wait for their rights, and their hours with them.
        """
        assert self._catalogue is not None
        snapshot = self._followed = self._catalogue.snapshot
        wanted = self._rights.allowed({clean_topic(name): (READ,) for name in snapshot.types})
        if wanted != self._subscribed and wanted:
            log.info("subscribing", topics=len(wanted), new=sorted(wanted - self._subscribed)[:20])
            self._subscribed = wanted
            self._consumer.subscribe(sorted(wanted), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        if not self._rights.lacking:
            self._catalogue.applied(snapshot.revision)

    # -- ownership: called by the client inside consume()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        assert self.sealer is not None
        telemetry.REBALANCES.inc()
        tips = self._patiently([_partition(where) for where in partitions])
        if tips is None:
            return  # stopping: nothing will be read any more
        for where in partitions:
            partition = _partition(where)
            tip = tips[partition]
            self.batches.open(partition, tip)
            where.offset = tip.offset
            if partition.number == 0:
                self.sealer.adopt(partition.event_type)
        consumer.incremental_assign(partitions)

    def _revoked(self, _consumer: Any, partitions: list[Any]) -> None:
        """What is buffered is dropped: the new owner reads it again, from the chain's tip."""
        assert self.sealer is not None
        assert self._steering is not None
        for where in partitions:
            partition = _partition(where)
            self.batches.drop(partition)
            self._steering.forget(partition)
            if partition.number == 0:
                self.sealer.drop(partition.event_type)

    def _patiently(self, partitions: list[Partition]) -> dict[Partition, Tip] | None:
        """Where their chains end, in the logs that they were written from. Asks lake and Kafka until they answer; None when the worker
        stops meanwhile. Raises OffsetLost when a log is another one.
        """
        deadline, told = time.monotonic() + ASSIGN_PATIENCE_S, False
        tips: dict[Partition, Tip] = {}
        while not self._stop.is_set():
            try:
                for partition in partitions:
                    if partition not in tips:
                        tips[partition] = self._chain.tip(partition)
                self._logs.check(tips)
                return tips
            except (LakeUnavailable, BrokerUnavailable) as exc:
                if time.monotonic() > deadline:
                    raise
                if not told:
                    log.warning("waiting to take over partitions", code=exc.code, error=exc.message)
                    told = True
                self._stop.wait(exc.retry_after)
        return None

    # -- writing out

    def _flush(self, buffer: PartitionBuffer) -> None:
        assert self._flusher is not None
        assert self.sealer is not None
        assert self._steering is not None
        freed = buffer.bytes
        try:
            flushed = self._flusher.flush(buffer, int(self._now() * 1000))
        except Unavailable as exc:
            self._steering.hold(buffer.partition, exc)
            return
        finally:
            give_back(freed)
        self._holds.passed(buffer.partition)
        self.batches.open(buffer.partition, flushed.tip)
        if buffer.partition.number == 0 and flushed.tip.closed != buffer.tip.closed:
            self.sealer.wake(buffer.partition.event_type)
        if flushed.won:
            self._steering.written(buffer.partition, flushed.tip.offset)
            _count(buffer, flushed)
        else:
            telemetry.CONFLICTS.labels(buffer.partition.event_type).inc()
            told = "another worker has written this entry; going on behind it"
            log.info(told, event_type=buffer.partition.event_type, partition=buffer.partition.number, next=flushed.tip.offset)
            self._steering.rewind(buffer.partition)


def _partition(where: Any) -> Partition:
    return Partition(event_type_of(where.topic), where.partition)


def _count(buffer: PartitionBuffer, flushed: Flushed) -> None:
    name, entry = buffer.partition.event_type, flushed.entry
    telemetry.ROWS.labels(name).inc(sum(part.rows for part in entry.parts))
    telemetry.PARTS.labels(name).inc(len(entry.parts))
    telemetry.PART_BYTES.labels(name).inc(sum(part.bytes for part in entry.parts))
    telemetry.REPEATS.labels(name).inc(entry.repeats)
    telemetry.FOREIGN.labels(name).inc(entry.foreign)
    telemetry.POISONED.labels(name).inc(sum(count.poisoned for count in entry.hours.values()))
    telemetry.INVARIANTS.labels(name).inc(buffer.misplaced)  # shown as 0 too: a rise from nothing would not be seen
    if buffer.misplaced:
        log.error(
            "records of closed hours came behind their barrier",
            code="closed_hour",
            event_type=name,
            partition=buffer.partition.number,
            offset=buffer.tip.offset,
            next=flushed.tip.offset,
            records=buffer.misplaced,
            closed=entry.closed,
        )
