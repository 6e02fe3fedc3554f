"""Who follows the catalogue, and up to which revision: a tail of `hourmark.nodes` on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from hourmark.kafka import read_now, tail_config
from hourmark.nodes import LIVE_S, NodeReport
from hourmark.topics import NODES

from .settings import Settings

log = structlog.get_logger()
STAGES: Final = {"receiver": "receiver", "streams": "dedup", "sinks": "sink"}  # rooms as people call them
WAY: Final = tuple(STAGES)
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


class Behind(NamedTuple):
    """A live node that does not yet, the revision it works by, and why, if it says so."""

    node: str
    room: str
    revision: int
    reason: str


class RoomStage(NamedTuple):
    """All live nodes of a room: `applied` `of` them work by the awaited revision; `ms`: when the last one did, or how long was waited."""

    stage: str
    applied: int
    of: int
    ms: float

    @property
    def complete(self) -> bool:
        return self.applied == self.of


class Progress(NamedTuple):
    """How far a revision has come. `known`: the registry has heard of all nodes."""

    applied: list[Applied]
    behind: list[Behind]
    ms: float
    known: bool

    @property
    def complete(self) -> bool:
        return self.known and not self.behind

    def stages(self) -> list[RoomStage]:
        """One for each room, in the order of an event's way; of those that it passes also where no node lives."""
        rooms = {*WAY, *(node.room for node in self.applied), *(node.room for node in self.behind)}
        found = []
        for room in sorted(rooms, key=lambda room: (WAY.index(room) if room in WAY else len(WAY), room)):
            done = [node.ms for node in self.applied if node.room == room]
            late = sum(node.room == room for node in self.behind)
            found.append(RoomStage(STAGES.get(room, room), len(done), len(done) + late, self.ms if late else max(done, default=self.ms)))
        return found


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

    async def follow(self, revision: int, started: float, timeout: float) -> AsyncIterator[Progress]:
        """The progress of a revision after each piece of news; the last one is complete, or what it was after `timeout` seconds.

        `started` is the monotonic time that `ms` counts from.
        """
        deadline = time.monotonic() + timeout
        applied: dict[str, Applied] = {}
        while True:
            self._moved.clear()
            behind: list[Behind] = []
            ms = round((time.monotonic() - started) * 1000, 1)
            for name, report in [(name, node.report) for name, node in self.known.items() if node.live]:
                if report.revision < revision:
                    behind.append(Behind(name, report.room, report.revision, report.trouble))
                elif name not in applied:
                    applied[name] = Applied(name, report.room, report.revision, ms)
            progress = Progress(sorted(applied.values()), sorted(behind), ms, self._read)
            yield progress
            left = deadline - time.monotonic()
            if progress.complete or left <= 0:
                return
            with contextlib.suppress(TimeoutError):  # looks again: a silent node stops being live
                async with asyncio.timeout(min(left, 1.0)):
                    await self._moved.wait()

    def _tail(self) -> None:
        consumer = Consumer(tail_config(self._settings, fetch_wait_max_ms=50, enable_partition_eof=True))
        consumer.assign([TopicPartition(NODES, 0, OFFSET_BEGINNING)])
        troubled = False
        while not self._stop.is_set():
            known, read = dict(self.known), self._read
            for message in read_now(consumer, 1000, 0.1):
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
