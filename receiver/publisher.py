"""The edge to Kafka: records out, acknowledgements back, and whether Kafka answers at all.

The event loop itself polls for delivery reports, every millisecond while some are awaited: a thread of its own would have to fight for the
interpreter's lock at each report. Nothing here blocks. Records of one partition are stored in the order of `publish`, unless Kafka refuses
a batch as too large: then its records are sent again one by one, so that only those that are too large by themselves are given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hourmark.errors import BrokerUnavailable, InvariantBroken
from hourmark.kafka import FORBIDDEN, MUTE, producer_config, translate
from hourmark.runtime import node_name
from hourmark.topics import NODES

from .away import SILENT, Away
from .delivery import Delivery, Record
from .settings import Settings

log = structlog.get_logger()

ANY_PARTITION: Final = -1
RETRY_AFTER_S: Final = 2.0
PROBE: Final = f"writing a test record to {NODES}"
_POLL_S: Final = 0.001
_IDLE_S: Final = 0.2
_DEAF_S: Final = 10.0
_UNKNOWN: Final = (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
_IMPATIENT_S: Final = 1.0  # without an answer for so long while records wait, ask with a probe


class Publisher(Protocol):
    """Where events go. All calls come from the event loop.

    `publish` returns at once; its future has a Delivery when every record is acknowledged by all replicas or given up (never an exception).
    `refusal` is why nothing should be accepted now, `not_ready` why this process should get no traffic. `broken` is set once, when the
    producer can never work again. `close` waits for what is on its way, at most `timeout` seconds.
    """

    broken: InvariantBroken | None

    def start(self) -> None: ...
    def publish(self, records: Sequence[Record]) -> asyncio.Future[Delivery]: ...
    def refusal(self) -> BrokerUnavailable | None: ...
    def not_ready(self) -> str | None: ...
    async def close(self, timeout: float) -> None: ...


class KafkaPublisher:
    """One idempotent producer. It counts as away when a test record has waited for `broker_down_s` and nothing else was acknowledged."""

    def __init__(self, settings: Settings, on_broken: Callable[[], None] = lambda: None) -> None:
        self.broken: InvariantBroken | None = None
        self._on_broken = on_broken
        self._settings = settings
        self._probe_key = f"{node_name(settings, 'receiver')}:probe".encode()
        self._outstanding = 0
        self._last_answer = 0.0  # time.monotonic() of the newest acknowledgement
        self._waiting_since = 0.0  # when the oldest probe without an answer left; 0: none
        self._probing = self._heard = self._deaf = False
        self._away = Away(settings)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._producer, self._made = Producer(_config(settings, self._troubled)), time.monotonic()
        self._singles: Producer | None = None  # each record a batch of its own

    def start(self) -> None:
        """Begin to poll and to probe. Call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._poll()

    def publish(self, records: Sequence[Record]) -> asyncio.Future[Delivery]:
        future: asyncio.Future[Delivery] = self._loop.create_future()
        delivery = Delivery(len(records), partial(_resolve, future))
        delivery.records = records
        if not records:
            future.set_result(delivery)
            return future
        if not self._outstanding and self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(_POLL_S, self._poll)
        self._outstanding += len(records)
        produce, report = self._producer.produce, self._report
        for index, (topic, value, key, partition, headers) in enumerate(records):
            try:
                if headers is None:
                    produce(topic, value, key, partition, partial(report, delivery, index))
                else:
                    produce(topic, value, key, partition, partial(report, delivery, index), headers=headers)
            except (BufferError, KafkaException) as exc:
                self._unsent(delivery, index, exc)
        return future

    def refusal(self) -> BrokerUnavailable | None:
        if self._waiting_since and time.monotonic() - self._waiting_since > self._settings.broker_down_s:
            return BrokerUnavailable("Kafka does not answer", retry_after=RETRY_AFTER_S)
        return None

    def not_ready(self) -> str | None:
        if self.broken is not None:
            return self.broken.message
        if not self._last_answer:
            return self._away.reason or "Kafka has not acknowledged a record yet"
        return self._away.reason or SILENT if self.refusal() is not None else None

    async def close(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._outstanding and time.monotonic() < deadline:  # noqa: ASYNC110  an event set per record would cost the data path
            await asyncio.sleep(0.005)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        left = max(0.0, deadline - time.monotonic())
        for producer in filter(None, (self._producer, self._singles)):
            with contextlib.suppress(KafkaException):  # what is fatal has been told
                await asyncio.to_thread(producer.flush, min(left, 1.0))

    def _report(self, delivery: Delivery, index: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            if error.code() in _TOO_LARGE:
                self._send_alone(delivery, index)
            else:
                self._failed(delivery, error, delivery.records[index][0])
            return
        self._outstanding -= 1
        self._heard = True
        delivery.stored(index, message.offset(), message.timestamp()[1])  # type: ignore[arg-type]  # a stored record has an offset

    def _send_alone(self, delivery: Delivery, index: int) -> None:
        """Kafka measures batches, and refuses all records of a batch: only alone it shows which one is too large."""
        topic, value, key, partition, headers = delivery.records[index]
        if self._singles is None:
            log.warning("a topic takes less than its records need, they are sent one by one", topic=topic)
            self._singles = Producer({**_config(self._settings, self._troubled), "batch.num.messages": 1})
        report = partial(self._report_alone, delivery, index)
        try:
            self._singles.produce(topic, value, key, partition, report, headers=headers)
        except (BufferError, KafkaException) as exc:
            self._unsent(delivery, index, exc)

    def _report_alone(self, delivery: Delivery, index: int, error: KafkaError | None, message: Message) -> None:
        if error is None or error.code() not in _TOO_LARGE:
            self._report(delivery, index, error, message)
            return
        self._outstanding -= 1
        self._heard = True
        delivery.too_large(index)

    def _unsent(self, delivery: Delivery, index: int, error: KafkaException | BufferError) -> None:
        if isinstance(error, KafkaException) and error.args[0].code() in _TOO_LARGE:
            self._outstanding -= 1
            delivery.too_large(index)
        else:
            self._failed(delivery, error, delivery.records[index][0])

    def _failed(self, delivery: Delivery, error: KafkaError | KafkaException | BufferError, topic: str) -> None:
        self._outstanding -= 1
        self._away.refused_record(error, topic)
        if isinstance(error, BufferError):
            delivery.failed(BrokerUnavailable(f"the Kafka client's queue is full: {error}", retry_after=RETRY_AFTER_S))
            return
        found = translate(error, "storing an event")  # of what is fatal `poll` tells, and `_fatal` decides
        delivery.failed(found if isinstance(found, BrokerUnavailable) else BrokerUnavailable(found.message, retry_after=RETRY_AFTER_S))

    def _break(self, failure: InvariantBroken) -> None:
        if self.broken is None:
            self.broken = failure
            log.error("the producer can never work again, stopping", code=failure.code, error=failure.message)
            self._on_broken()

    def _poll(self) -> None:
        if self._closed:
            return
        try:
            self._producer.poll(0)
            if self._singles is not None:
                self._singles.poll(0)
        except KafkaException as exc:  # what is fatal comes so, and not to `error_cb`
            self._fatal(exc)
        if self._deaf:
            self._make_anew()
        if self._heard:
            self._heard = False
            self._answered()
        else:
            self._probe_if_silent()
        self._timer = self._loop.call_later(_POLL_S if self._outstanding else _IDLE_S, self._poll)

    def _answered(self) -> None:
        self._last_answer, self._waiting_since = time.monotonic(), 0.0
        self._away.over()

    def _probe_if_silent(self) -> None:
        """A null record under a key of our own on hourmark.nodes: compaction keeps none of them."""
        now = time.monotonic()
        patience = _IMPATIENT_S if self._outstanding or self._waiting_since else self._settings.probe_s
        if self.refusal() is not None:
            self._away.silent(self._waiting_since)
        if self._probing or now - self._last_answer < patience:
            return
        self._probing = True
        self._waiting_since = self._waiting_since or now
        try:
            self._producer.produce(NODES, None, self._probe_key, ANY_PARTITION, self._probed)
        except (BufferError, KafkaException) as exc:
            self._probing = False
            if isinstance(exc, KafkaException):
                self._probe_failed(exc.args[0])

    def _probed(self, error: KafkaError | None, _message: Message) -> None:
        self._probing = False
        if error is None:
            self._answered()
        else:
            self._probe_failed(error)

    def _probe_failed(self, error: KafkaError) -> None:
        if error.code() in FORBIDDEN:
            self._away.refused(error, PROBE)
        elif error.code() in _UNKNOWN and not self._last_answer:
            self._deaf = time.monotonic() - self._made > _DEAF_S  # having asked before the topics were made, it may never hear of them

    def _troubled(self, _error: KafkaError) -> None:
        self._last_answer = min(self._last_answer, time.monotonic() - self._settings.probe_s)  # probe at once

    def _fatal(self, exc: KafkaException) -> None:
        """The producer can do nothing more. If it only lacks a right, another one may do better."""
        if exc.args[0].code() in FORBIDDEN:
            self._away.refused(exc, "storing events")
            self._make_anew()
        else:
            self._break(InvariantBroken(f"the producer: {exc.args[0].str()}"))

    def _make_anew(self) -> None:
        """Another producer; what this one held is answered `retry`."""
        self._deaf = False
        old, self._producer, self._made = self._producer, Producer(_config(self._settings, self._troubled)), time.monotonic()
        for gone in filter(None, (old, self._singles)):
            with contextlib.suppress(KafkaException):
                gone.purge()
                gone.poll(0)
        self._singles = None


def _resolve(future: asyncio.Future[Delivery], delivery: Delivery) -> None:
    if not future.done():
        future.set_result(delivery)


def _config(settings: Settings, on_error: Callable[[KafkaError], None]) -> dict[str, Any]:
    config = producer_config(
        settings,
        linger_ms=settings.linger_ms,
        compression_type=settings.compression,
        delivery_timeout_ms=int(settings.delivery_s * 1000),
        message_max_bytes=9 * 1024 * 1024,
        queue_buffering_max_messages=10_000_000,  # the budget bounds bytes; a count must never refuse before it
        queue_buffering_max_kbytes=max(1 << 20, settings.inflight_bytes // 256),
        topic_metadata_refresh_interval_ms=5_000,  # events for a partition that was just added are answered `retry` until then
    )
    return {**config, "error_cb": on_error, "logger": MUTE}
