"""The way out straight to Kafka, for services inside (extra `kafka`): the receiver's bytes, keys and partitions, without the receiver.

Three threads: one encodes and produces in the order of `send`, one collects acknowledgements, one asks the registry. Events of a type that
is not known yet wait here, and later ones of that type behind them. `stored` means acknowledged by all in-sync replicas.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from .avro import Mismatch
from .buffer import BatchLimits, Buffer
from .catalog import GRACE_S, Catalog, Registry, Route
from .envelope import SentBlock
from .loud import Episode, log
from .notices import Held
from .reader import CleanReader
from .retry import Backoff
from .transport import Sender
from .verdicts import STORED, Outcome, rejected

__all__ = ["CleanReader", "KafkaTransport", "partition_of"]

PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 20,
    "delivery.timeout.ms": 120_000,
    "message.max.bytes": 2 * 1024 * 1024,
    "topic.metadata.refresh.interval.ms": 5_000,  # partitions added to a type are unknown until then, and their events wait
    # our own buffer bounds memory, so that librdkafka's queue never refuses first
    "queue.buffering.max.messages": 10_000_000,
    "queue.buffering.max.kbytes": 2_147_483_647,
}
_FULL_PAUSE_S: Final = 0.05
_POLL_S: Final = 0.1
UNEXPECTED_PAUSE_S: Final = 1.0


def partition_of(key: bytes, partitions: int) -> int:
    """The partition rule of the wire contract: `blake2b(key, 8 bytes) mod partitions`, big endian."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % partitions


class KafkaTransport:
    """`options` go to librdkafka over our own. `grace`: seconds that events of an undeclared type are held before they are rejected."""

    def __init__(self, bootstrap: str, *, registry: str, options: Mapping[str, Any] | None = None, grace: float = GRACE_S) -> None:
        self.batch = BatchLimits(events=2000, bytes=4 * 1024 * 1024, linger=0.005)
        self._config = {**PRODUCER, "bootstrap.servers": bootstrap, **(options or {}), "error_cb": self._broker_trouble}
        self._catalog = Catalog(Registry(registry), self._nudge, grace=grace)
        self._backoff = Backoff()
        self._trouble = Episode(f"cannot deliver to Kafka at {bootstrap}")
        self._threads: list[threading.Thread] = []
        self._producer: Producer | None = None
        self._buffer: Buffer | None = None
        self._reset()

    def _reset(self) -> None:
        self._threads = []
        self._waiting: dict[str, list[Held]] = {}
        self._acks: deque[tuple[Held, KafkaError | None, int, int]] = deque()

    def forget(self) -> None:
        if self._producer is not None:
            # librdkafka's threads did not come along: destroying its handle here would wait for them for ever
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))
            self._producer = None
        self._reset()
        self._trouble.forget()
        self._catalog.forget()

    def start(self, buffer: Buffer, sender: Sender) -> None:
        self._buffer = buffer
        self._producer = Producer(dict(self._config), logger=log)
        for name, work in (("produce", partial(self._produce_all, sender)), ("acks", self._collect), ("registry", self._catalog.run)):
            self._threads.append(threading.Thread(target=work, name=f"hourmark-kafka-{name}", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._catalog.stop()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._producer is not None:
            self._producer.purge(in_flight=False)
            self._producer.flush(0.1)
            self._producer = None

    def owns_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def _nudge(self) -> None:
        if self._buffer is not None:
            self._buffer.nudge()

    def _broker_trouble(self, error: KafkaError) -> None:
        self._trouble.trouble(error.str())

    # -- the producing thread

    def _produce_all(self, sender: Sender) -> None:
        buffer = self._buffer
        assert buffer is not None
        while (batch := buffer.take()) is not None:
            try:
                buffer.settle(self._produce_batch(batch, SentBlock(sender)))
            except Exception:  # a fault of ours must not strand events: loud, and the same ids again
                log.exception("unexpected, the batch is sent again")
                buffer.postpone((held, UNEXPECTED_PAUSE_S) for held in batch)

    def _produce_batch(self, batch: list[Held], sent: SentBlock) -> list[tuple[Held, Outcome]]:
        """Returns those refused."""
        refused: list[tuple[Held, Outcome]] = []
        for event_type in list(self._waiting):
            self._revisit(event_type, sent, refused)
        known = self._catalog.known
        for held in batch:
            route = known.get(held.event_type)
            if route is None or held.event_type in self._waiting:
                self._waiting.setdefault(held.event_type, []).append(held)
                self._catalog.ask(held.event_type)
            else:
                self._produce(held, route, sent, refused)
        return refused

    def _revisit(self, event_type: str, sent: SentBlock, refused: list[tuple[Held, Outcome]]) -> None:
        """Move waiting events on if it is known by now how."""
        route, absent = self._catalog.known.get(event_type), self._catalog.absent(event_type)
        if route is not None:
            moved = self._waiting.pop(event_type)
            for number, held in enumerate(moved):
                self._produce(held, route, sent, refused)
                if event_type in self._waiting:  # the route is in doubt: the rest stays behind this one
                    self._waiting[event_type] += moved[number + 1 :]
                    return
        elif absent is not None:
            refused += [(held, absent) for held in self._waiting.pop(event_type)]

    def _produce(self, held: Held, route: Route, sent: SentBlock, refused: list[tuple[Held, Outcome]]) -> None:
        if route.refuse is not None:
            refused.append((held, route.refuse))
            return
        held.attempt += 1
        try:
            key, value = route.encoder.encode(held, sent)
        except Mismatch as mismatch:
            if self._catalog.doubt(held.event_type, route):
                held.attempt -= 1
                self._waiting.setdefault(held.event_type, []).append(held)
            else:
                refused.append((held, mismatch.outcome()))
            return
        told = partial(self._told, held)
        partition = partition_of(key, route.partitions)
        while True:
            try:
                assert self._producer is not None
                self._producer.produce(route.topic, value, key, partition, on_delivery=told)
                return
            except BufferError:
                self._trouble.trouble("librdkafka's queue is full")
                if self._buffer is None or not self._buffer.sleep(_FULL_PAUSE_S):
                    return
            except KafkaException as exc:
                error = exc.args[0]
                if not error.fatal():
                    self._acks.append((held, error, -1, -1))
                    return
                self._renew(error)

    def _renew(self, error: KafkaError) -> None:
        """A fatal error ends an idempotent producer; what it still held comes back as failed, and goes out again with the same ids."""
        self._trouble.trouble(f"fatal: {error.str()}")
        old, self._producer = self._producer, Producer(dict(self._config), logger=log)
        if old is not None:
            old.purge()
            old.flush(5.0)

    def _told(self, held: Held, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._acks.append((held, None, message.partition() or 0, message.offset() or 0))
        else:
            self._acks.append((held, error, -1, -1))

    # -- the acknowledging thread

    def _collect(self) -> None:
        buffer = self._buffer
        assert buffer is not None
        while not buffer.stopped:
            producer = self._producer
            if producer is not None:
                producer.poll(_POLL_S)
            acks = self._acks
            settled: list[tuple[Held, Outcome]] = []
            failed: list[tuple[Held, KafkaError]] = []
            while acks:
                held, error, partition, offset = acks.popleft()
                if error is None:
                    settled.append((held, Outcome(STORED, partition, offset)))
                elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    settled.append((held, rejected("event_too_large", error.str())))
                else:
                    failed.append((held, error))
            if settled:
                buffer.settle(settled)
                self._trouble.over()
            if failed:
                self._trouble.trouble(failed[0][1].str(), len(failed))
                buffer.retried(len(failed))
                buffer.postpone(self._backoff.together((held, held.attempt, None) for held, _ in failed))
