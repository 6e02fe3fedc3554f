"""Who follows the catalogue, and up to which revision: a tail of `hourmark.nodes` on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import NamedTuple

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from hourmark.control import LIVE_S, NodeReport
from hourmark.kafka import tail_config
from hourmark.topics import NODES

from .settings import Settings

log = structlog.get_logger()
_decoder = msgspec.json.Decoder(NodeReport)


class Node(NamedTuple):
    """A node's last report, and when the broker got it (seconds since 1970)."""

    report: NodeReport
    heard_at: float

    @property
    def live(self) -> bool:
        return time.time() - self.heard_at < LIVE_S


class Applied(NamedTuple):
    """A node that works by the awaited revision, `ms` after the wait's start."""

    node: str
    room: str
    revision: int
    ms: float


class Nodes:
    """`known` is replaced as a whole by the tail's thread; waiting happens on the event loop."""

    def __init__(self, settings: Settings) -> None:
        self.known: dict[str, Node] = {}
        self._read = False  # to its end: before that, an absent node may just not have been read yet
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tail, name="nodes-tail", daemon=True)

    def start(self) -> None:
        """Begin to follow the topic, which must exist."""
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    async def wait_applied(self, revision: int, started: float, timeout: float) -> tuple[bool, list[Applied]]:
        """Wait until every live node works by `revision`; `started` is the monotonic time that `ms` counts from.

        Returns whether all did, and those that did.
        """
        deadline = time.monotonic() + timeout
        applied: dict[str, Applied] = {}
        while True:
            self._moved.clear()
            behind = not self._read
            for name, node in self.known.items():
                if not node.live:
                    continue
                if node.report.revision < revision:
                    behind = True
                elif name not in applied:
                    ms = round((time.monotonic() - started) * 1000, 1)
                    applied[name] = Applied(name, node.report.room, node.report.revision, ms)
            left = deadline - time.monotonic()
            if not behind or left <= 0:
                return not behind, sorted(applied.values())
            try:
                async with asyncio.timeout(min(left, 1.0)):  # looks again: a silent node stops being live
                    await self._moved.wait()
            except TimeoutError:
                continue

    def _tail(self) -> None:
        consumer = Consumer(tail_config(self._settings, fetch_wait_max_ms=50, enable_partition_eof=True))
        consumer.assign([TopicPartition(NODES, 0, OFFSET_BEGINNING)])
        troubled = False
        while not self._stop.is_set():
            known, read = dict(self.known), self._read
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    troubled = False
                    _take(known, message)
                    continue
                if error.code() == KafkaError._PARTITION_EOF:
                    read, troubled = True, False
                    continue
                if error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
                    consumer.assign([TopicPartition(NODES, 0, OFFSET_BEGINNING)])
                if not troubled:
                    log.warning("hourmark.nodes is unreadable, waits for nodes will time out", error=error.str())
                    troubled = True
                self._stop.wait(0.2)
            if known != self.known or read != self._read:
                self.known, self._read = known, read
                self._announce()
        consumer.close()

    def _announce(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._moved.set)


def _take(known: dict[str, Node], message: Message) -> None:
    name, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
    if value is None:
        known.pop(name, None)
        return
    try:
        known[name] = Node(_decoder.decode(value), message.timestamp()[1] / 1000)
    except msgspec.DecodeError as exc:
        log.warning("node report ignored: not understood", node=name, error=str(exc))
