"""The edge to Kafka for replays: who owns which partition of `parked`, what is on it, and how far the replay of each type is.

Every call blocks: they are made one at a time, on a thread of their own. Raises BrokerUnavailable when Kafka does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.errors import BrokerUnavailable
from hourmark.kafka import client_config, partition_counts, tail_config, topic_config, translate
from hourmark.parked import PARKED_GROUP, Replayed, parked_type, read_replayed
from hourmark.topics import PARKED, REPLAYS

from .settings import Settings
from .settle import Parked

log = structlog.get_logger()

SLICE: Final = 100  # events of one replay step: live requests wait for some 3 ms at most
SLICE_BYTES: Final = 256 * 1024
_LOOKED_AT: Final = 2_000  # records of one step, of whatever type
_AT_ONCE: Final = 16  # records in memory with their values: each may have a megabyte
_SILENCE_S: Final = 0.2
_TIMEOUT_S: Final = 10.0
_QUEUE_KB: Final = 4096


T = TypeVar("T")


class OneThread:
    """Runs what blocks, one call at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "parked")

    async def call(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def timed(self, call: Callable[[], T]) -> tuple[float, T]:
        """With the seconds of CPU that the thread took."""

        def run() -> tuple[float, T]:
            began = time.thread_time()
            found = call()
            return time.thread_time() - began, found

        return await self.call(run)

    def close(self) -> None:
        self._pool.shutdown(wait=False)


class Seen(NamedTuple):
    """A record of `parked` as the index needs it; `epoch`: see News."""

    partition: int
    epoch: int
    offset: int
    event_type: str
    at_ms: int


class News(NamedTuple):
    """What a look at the end of the owned partitions has brought. `owned`: partition → epoch, which is another one each time that
    the partition comes to us: then everything begins anew at its frontier.
    """

    owned: dict[int, int]
    seen: list[Seen]


class Slice(NamedTuple):
    """Wanted events from a cursor on; `next`: the offset to go on from; `at_ms`: append time just before it, 0 if nothing was read."""

    parked: list[Parked]
    next: int
    at_ms: int


class ParkedLog(Protocol):
    """`open` first; `tail` often, it keeps the ownership alive."""

    def open(self) -> bool: ...
    def tail(self, wait_s: float) -> News: ...
    def read(self, partition: int, cursor: int, end: int, wanted: Mapping[str, int]) -> Slice: ...
    def progress(self, partition: int) -> dict[str, Replayed]: ...
    def commit(self, frontiers: Mapping[int, int]) -> None: ...
    def low(self, partition: int) -> int: ...
    def rest(self) -> None: ...
    def retention_ms(self) -> int: ...
    def close(self) -> None: ...


class KafkaParkedLog:
    """Receivers share the partitions as one consumer group. Replays read outside it, from any offset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slice = max(1, min(SLICE, int(settings.replay_events_s / 5)))
        self._admin: AdminClient | None = None
        self._owned: dict[int, int] = {}
        self._epoch = 0
        self._group: Consumer | None = None
        self._reader: Consumer | None = None
        self._at = (-1, -1)  # partition and offset that the reader comes to next

    def open(self) -> bool:
        """True once the topics are there, which the registry creates, and the group is joined."""
        self._admin = self._admin or AdminClient(client_config(self._settings))
        if len(partition_counts(self._admin, (PARKED, REPLAYS), _TIMEOUT_S)) < 2:
            return False
        self._group = Consumer(
            tail_config(
                self._settings,
                group_id=PARKED_GROUP,
                auto_offset_reset="earliest",  # what is gone has expired
                partition_assignment_strategy="cooperative-sticky",
                session_timeout_ms=6_000,
                heartbeat_interval_ms=1_000,
                queued_max_messages_kbytes=_QUEUE_KB,
                fetch_wait_max_ms=500,
            )
        )
        self._group.subscribe([PARKED], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        return True

    def tail(self, wait_s: float) -> News:
        """New records, after at most `wait_s`; only their names are kept."""
        assert self._group is not None
        seen: list[Seen] = []
        failed: KafkaError | None = None
        while len(seen) < _LOOKED_AT and failed is None:
            messages = self._group.consume(_AT_ONCE, 0.0 if seen else wait_s)
            for message in messages:
                error = message.error()
                if error is not None:
                    failed = error
                    continue
                partition, offset, at_ms = _where(message)
                seen.append(Seen(partition, self._owned.get(partition, 0), offset, parked_type(message.headers()), at_ms))
            if len(messages) < _AT_ONCE:
                break
        if failed is not None and not seen:  # what has come does not come again
            raise translate(failed, "reading parked events")
        return News(dict(self._owned), seen)

    def read(self, partition: int, cursor: int, end: int, wanted: Mapping[str, int]) -> Slice:
        """`wanted`: event types, each from an offset of its own on. Skips over what has expired."""
        if self._reader is None:
            config = tail_config(self._settings, auto_offset_reset="earliest", queued_max_messages_kbytes=_QUEUE_KB)
            self._reader = Consumer(config)
        if self._at != (partition, cursor):
            self._reader.assign([TopicPartition(PARKED, partition, cursor)])
        self._at = (-1, -1)
        found: list[Parked] = []
        size = looked_at = newest_ms = 0
        while cursor < end and len(found) < self._slice and size < SLICE_BYTES and looked_at < _LOOKED_AT:
            messages = self._reader.consume(min(_AT_ONCE, end - cursor), _SILENCE_S)
            for message in messages:
                error = message.error()
                if error is not None:
                    raise translate(error, "reading parked events")
                _, offset, at_ms = _where(message)
                cursor = offset + 1
                name, value = parked_type(message.headers()), message.value()
                if offset < end:
                    newest_ms = at_ms
                    if value is not None and offset >= wanted.get(name, end):
                        found.append(Parked(offset, name, value, at_ms))
                        size += len(value)
            looked_at += len(messages)
            if not messages:
                cursor = max(cursor, self.low(partition)) if not looked_at else cursor
                break
        self._at = (partition, cursor)
        return Slice(found, min(cursor, end), newest_ms)

    def progress(self, partition: int) -> dict[str, Replayed]:
        """How far the replay of each type is in this partition. What is beyond its end was said of a topic that is no more."""
        end = self._ends(partition)[1]
        consumer = Consumer(tail_config(self._settings, enable_partition_eof=True))
        found: dict[str, Replayed] = {}
        try:
            consumer.assign([TopicPartition(REPLAYS, 0, OFFSET_BEGINNING)])
            while True:
                message = consumer.poll(_TIMEOUT_S)
                if message is None:
                    raise BrokerUnavailable(f"nothing came from {REPLAYS} for {_TIMEOUT_S:.0f} s")
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return {name: one for name, one in found.items() if one.next <= end}
                if error is not None:
                    raise translate(error, "reading how far replays are")
                _note(message, partition, found)
        finally:
            consumer.close()

    def commit(self, frontiers: Mapping[int, int]) -> None:
        """Where the next owner begins; a hint, so that one which is lost costs a longer look only."""
        assert self._group is not None
        offsets = [TopicPartition(PARKED, partition, offset) for partition, offset in frontiers.items()]
        try:
            self._group.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            log.info("cannot say where parked events begin; the next owner looks further back", error=str(exc))

    def low(self, partition: int) -> int:
        """First offset that Kafka still has."""
        return self._ends(partition)[0]

    def retention_ms(self) -> int:
        """How long Kafka keeps parked events; -1 for ever."""
        assert self._admin is not None
        return int(topic_config(self._admin, PARKED, _TIMEOUT_S)["retention.ms"])

    def rest(self) -> None:
        """Nothing is to be replayed for a while."""
        if self._reader is not None:
            self._reader.close()
            self._reader, self._at = None, (-1, -1)

    def close(self) -> None:
        self.rest()
        if self._group is not None:
            self._group.close()
            self._group = None
        self._owned = {}

    def _ends(self, partition: int) -> tuple[int, int]:
        assert self._group is not None
        try:
            found: Any = self._group.get_watermark_offsets(TopicPartition(PARKED, partition), timeout=_TIMEOUT_S)
        except KafkaException as exc:
            raise translate(exc, "asking where parked events begin and end") from exc
        return int(found[0]), int(found[1])

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._epoch += 1
        self._owned.update((one.partition, self._epoch) for one in partitions)

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._owned.pop(one.partition, None)


def _where(message: Message) -> tuple[int, int, int]:
    found: Any = message.partition(), message.offset(), message.timestamp()[1]
    return found[0], found[1], found[2]


def _note(message: Message, partition: int, found: dict[str, Replayed]) -> None:
    value = message.value()
    try:
        one = None if value is None else read_replayed(value)
    except msgspec.DecodeError:
        return  # a newer version's: its events are replayed once more, and recognised by their ids
    if one is not None and one.partition == partition:
        found[one.type] = one
