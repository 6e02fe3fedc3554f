"""From consumed messages to the buffers of their partitions. What runs here once an event is most of the sink's cost: keep it tight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from operator import ne
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError, Message

from hourmark.errors import OffsetLost
from hourmark.event import BARRIER_HEADER, STAMP, STAMP_HEADER, CleanBarrier, read_clean_barrier
from hourmark.kafka import translate
from hourmark.topics import Partition, event_type_of

from .batches import Foreign, HourlyBatches, PartitionBuffer

# The client goes on by itself after these.
_PASSING: Final = {
    KafkaError._PARTITION_EOF,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
}
_LOST: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}

ODD_AMONG: Final = 64  # messages that are read one by one when one of them is no event
FEW: Final = 8  # so many messages of one partition are not worth numpy's overhead
# one C call a message, without a frame
_ERROR: Final[Any] = Message.error
_HEADERS: Final[Any] = Message.headers
_VALUE: Final[Any] = Message.value
_TOPIC: Final[Any] = Message.topic
_PARTITION: Final[Any] = Message.partition
_OFFSET: Final[Any] = Message.offset


class _Lane:
    """Records of one partition since its last barrier in this poll. `expected` is the offset that must come next."""

    def __init__(self, buffer: PartitionBuffer | None) -> None:
        self.buffer = buffer
        self.expected = buffer.next if buffer is not None else -1
        self.values: list[bytes] = []
        self.stamps: list[bytes] = []
        self.newest: Message | None = None

    def settle(self) -> None:
        if self.values and self.buffer is not None:
            self.buffer.add(self.values, self.stamps)
            self.values, self.stamps = [], []

    def end(self) -> None:
        self.settle()
        if self.newest is not None and self.buffer is not None:
            self.buffer.appended_ms = self.newest.timestamp()[1]


class _Columns:
    """A poll by columns. Raises TypeError or ValueError unless it is made of nothing but stamped values."""

    def __init__(self, messages: Sequence[Message]) -> None:
        count = len(messages)
        if list(map(_ERROR, messages)).count(None) != count:
            raise ValueError("errors among the messages")
        # one header each, or the unpacking fails; freed at once, so that Python takes the same memory for the next one
        self.stamps = [stamp if name == STAMP_HEADER else b"" for ((name, stamp),) in map(_HEADERS, messages)]
        self.values: list[Any] = list(map(_VALUE, messages))
        if set(map(len, self.stamps)) != {STAMP.size} or not all(map(len, self.values)):
            raise ValueError("messages without a stamp, or of no length")
        self.topics: list[Any] = list(map(_TOPIC, messages))
        self.partitions = np.fromiter(map(_PARTITION, messages), np.int64, count)
        self.offsets = np.fromiter(map(_OFFSET, messages), np.int64, count)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Where messages of one partition follow one another."""
        other_topic = np.fromiter(map(ne, self.topics, islice(self.topics, 1, None)), np.bool_, len(self.topics) - 1)
        edges = (np.flatnonzero((np.diff(self.partitions) != 0) | other_topic) + 1).tolist()
        return pairwise([0, *edges, len(self.topics)])


class Intake:
    """`take` puts one poll into the buffers; it returns partitions whose next message is missing (the caller seeks back)."""

    def __init__(self, batches: HourlyBatches) -> None:
        self._batches = batches

    def take(self, messages: Sequence[Message]) -> set[Partition]:
        """Events are taken by columns; where something else stands among them it is found by halves, and read message by message."""
        gaps: set[Partition] = set()
        self._take(messages, gaps)
        return gaps

    def _take(self, messages: Sequence[Message], gaps: set[Partition]) -> None:
        count = len(messages)
        try:
            columns = None if count < FEW else _Columns(messages)
        except (TypeError, ValueError):
            if count > ODD_AMONG:
                self._take(messages[: count // 2], gaps)
                self._take(messages[count // 2 :], gaps)
                return
            columns = None
        if columns is None:
            self._one_by_one(messages, gaps)
            return
        for low, high in columns.runs():
            buffer = self._batches.get(Partition(event_type_of(columns.topics[low]), int(columns.partitions[low])))
            if buffer is None:
                continue
            if high - low < FEW or (columns.offsets[low:high] != np.arange(buffer.next, buffer.next + high - low)).any():
                self._one_by_one(messages[low:high], gaps)
            else:
                buffer.add(columns.values[low:high], columns.stamps[low:high])
                buffer.appended_ms = messages[high - 1].timestamp()[1]

    def _one_by_one(self, messages: Sequence[Message], gaps: set[Partition]) -> None:
        lanes: dict[tuple[str, int], _Lane] = {}
        topic, number, lane = "", -1, _Lane(None)
        for message in messages:
            if message.error() is not None:
                self._trouble(message)
                continue
            if message.partition() != number or message.topic() != topic:
                topic, number = message.topic() or "", message.partition() or 0
                lane = self._lane(lanes, topic, number)
            offset = message.offset()
            if offset != lane.expected:
                if lane.buffer is not None and (offset or 0) > lane.expected:
                    gaps.add(lane.buffer.partition)
                continue
            lane.expected += 1
            lane.newest = message
            headers: Any = message.headers()  # a list of pairs; the stubs allow what only producers pass
            value = message.value()
            if value is not None and headers and len(headers) == 1 and headers[0][0] == STAMP_HEADER and len(headers[0][1]) == STAMP.size:
                lane.values.append(value)
                lane.stamps.append(headers[0][1])
            else:
                lane.settle()
                self._unusual(lane, value, headers)
        for lane in lanes.values():
            lane.end()

    def _lane(self, lanes: dict[tuple[str, int], _Lane], topic: str, number: int) -> _Lane:
        lane = lanes.get((topic, number))
        if lane is None:
            lane = lanes[topic, number] = _Lane(self._batches.get(Partition(event_type_of(topic), number)))
        return lane

    def _unusual(self, lane: _Lane, value: bytes | None, headers: list[tuple[str, bytes]] | None) -> None:
        """A barrier, a record with more headers than the stamp, or something that is not ours."""
        buffer = lane.buffer
        if buffer is None:
            return
        if value is None:
            barrier: CleanBarrier | None = read_clean_barrier(headers)
            if barrier is not None:
                buffer.close(barrier)
                return
            said = any(name == BARRIER_HEADER for name, _ in headers or ())
            buffer.reject(Foreign(buffer.next, b"", "an unreadable barrier" if said else "a null value that is no barrier"))
            return
        stamps = [found for name, found in headers or () if name == STAMP_HEADER]
        if len(stamps) == 1 and len(stamps[0]) == STAMP.size:
            buffer.add([value], stamps)
            return
        buffer.reject(Foreign(buffer.next, value, "no stamp of a dedup worker"))

    def _trouble(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        where = f"{message.topic()}[{message.partition()}]" if message.topic() else "clean topics as a member of the group"
        if error.code() in _LOST:
            raise OffsetLost(f"{where}: the log does not hold the offset after the commit chain's tip any more: {error.str()}", where=where)
        if error.code() not in _PASSING and not error.retriable():
            raise translate(error, f"reading {where}")
