"""Reading a clean topic: every event as a dict, barriers skipped, repeats dropped.

Clean topics are at-least-once: after a crash a worker emits a stretch again, with the same coordinates. Per raw partition they only rise,
so a record at or below the highest seen is a repeat. The highest seen is committed with the offset: a restart does not forget it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from struct import Struct
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from .catalog import Registry
from .errors import ClientError

STAMP_HEADER: Final = "hm"
BARRIER_HEADER: Final = "hm-barrier"
STAMP: Final = Struct(">BBIQQiB")
COMMIT_EVERY_S: Final = 1.0
CONSUMER: Final[Mapping[str, Any]] = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "enable.partition.eof": False}

_MOVED: Final = frozenset(  # the partitions went to another member, which starts from the last commit
    {KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS, KafkaError._NO_OFFSET}
)


class Stamp(NamedTuple):
    """The header `hm` of a clean record. `hour`: platform hour it belongs to. `flags`: 1 skewed, 2 unchecked, 4 echo."""

    version: int
    source: int
    partition: int
    offset: int
    append_ms: int
    hour: int
    flags: int


class CleanReader:
    """Iterate it for dicts of one event type, envelope included (`_event_id` as text). Members of one `group` share the partitions.

    An event counts as done when the next one is asked for; a member that dies gives its last second again to the next. `stamp` belongs to
    the event given last. `idle`: stop iterating after so many seconds without an event (default: never). Not thread-safe.
    """

    def __init__(
        self,
        bootstrap: str,
        registry: str,
        event_type: str,
        group: str,
        options: Mapping[str, Any] | None = None,
        idle: float | None = None,
    ) -> None:
        self._registry = Registry(registry)
        self._schemas: dict[int, Any] = {}
        self._idle = idle
        self._high: dict[int, tuple[int, int]] = {}
        self._done: dict[int, tuple[int, tuple[int, int] | None]] = {}
        self._committed_at = time.monotonic()
        self.stamp: Stamp | None = None
        self.repeats = 0
        self._topic = f"clean.{event_type}"
        self._consumer = Consumer({**CONSUMER, "bootstrap.servers": bootstrap, "group.id": group, **(options or {})})
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        last_event = time.monotonic()
        while True:
            if time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
                self.commit()
            message = self._consumer.poll(0.2)
            if message is None:
                if self._idle is not None and time.monotonic() - last_event >= self._idle:
                    return
                continue
            event = self._event(message)
            if event is not None:
                last_event = time.monotonic()
                yield event
            number = _partition(message)
            self._done[number] = ((message.offset() or 0) + 1, self._high.get(number))

    def commit(self) -> None:
        """Commit what is done, now. Happens by itself every second, when partitions move, and at close."""
        self._committed_at = time.monotonic()
        if not self._done:
            return
        offsets = [TopicPartition(self._topic, number, offset, _packed(high)) for number, (offset, high) in self._done.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            if not exc.args[0].retriable() and exc.args[0].code() not in _MOVED:
                raise ClientError(f"cannot commit offsets of {self._topic}: {exc.args[0].str()}") from exc
        else:
            self._done.clear()

    def close(self) -> None:
        """Commit and leave the group."""
        self.commit()
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _event(self, message: Message) -> dict[str, Any] | None:
        error = message.error()
        if error is not None:
            if error.retriable() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._ALL_BROKERS_DOWN):
                return None
            raise ClientError(f"cannot read {self._topic}: {error.str()}")
        value = message.value()
        headers = dict(message.headers() or ())
        if value is None:
            self._pass_barrier(_partition(message), headers.get(BARRIER_HEADER))
            return None
        header = headers.get(STAMP_HEADER)
        if isinstance(header, bytes):
            stamp = Stamp._make(STAMP.unpack(header))
            place = (stamp.source, stamp.offset)
            number = _partition(message)  # clean and raw partitions map 1:1
            if place <= self._high.get(number, (-1, -1)):
                self.repeats += 1
                return None
            self._high[number] = place
            self.stamp = stamp
        return self._decode(value if isinstance(value, bytes) else value.encode())

    def _pass_barrier(self, number: int, header: Any) -> None:
        """A barrier stands behind all that was settled before it: what comes again from before it is a repeat, copies included."""
        if not isinstance(header, bytes):
            return
        try:
            barrier = json.loads(header)
            mark = int(barrier["source"]), int(barrier["offset"])
        except (ValueError, KeyError, TypeError):
            return  # no dedup worker wrote it: it closes nothing
        self._high[number] = max(self._high.get(number, (-1, -1)), mark)

    def _decode(self, value: bytes) -> dict[str, Any]:
        schema_id = int.from_bytes(value[1:5], "big")
        schema = self._schemas.get(schema_id)
        if schema is None:
            schema = self._schemas[schema_id] = fastavro.parse_schema(self._registry.schema(schema_id))
        event: Any = fastavro.schemaless_reader(BytesIO(value[5:]), schema, None)
        event["_event_id"] = str(UUID(bytes=event["_event_id"]))
        return dict(event)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for known in consumer.committed(partitions, timeout=30.0):
            self._high.pop(known.partition, None)
            high = _unpacked(known.metadata)
            if high is not None:
                self._high[known.partition] = high

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit()
        for gone in partitions:
            self._done.pop(gone.partition, None)


def _partition(message: Message) -> int:
    return message.partition() or 0


def _packed(high: tuple[int, int] | None) -> str:
    return f"hm:{high[0]}:{high[1]}" if high else ""


def _unpacked(metadata: str | None) -> tuple[int, int] | None:
    parts = (metadata or "").split(":")
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 and parts[0] == "hm" and parts[1].isdigit() and parts[2].isdigit() else None
