"""From consumed messages to the buffers of their partitions. The only loop of the sink that runs once an event: keep it tight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

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


class _Lane:
    """Records of one partition since its last barrier in this poll. `expected` is the offset that must come next."""

    def __init__(self, buffer: PartitionBuffer | None) -> None:
        self.buffer = buffer
        self.expected = buffer.next if buffer is not None else -1
        self.values: list[bytes] = []
        self.stamps: list[bytes] = []

    def settle(self) -> None:
        if self.values and self.buffer is not None:
            self.buffer.add(self.values, self.stamps)
            self.values, self.stamps = [], []


class Intake:
    """`take` puts one poll into the buffers; it returns partitions whose next message is missing (the caller seeks back)."""

    def __init__(self, batches: HourlyBatches) -> None:
        self._batches = batches

    def take(self, messages: Sequence[Message]) -> set[Partition]:
        lanes: dict[tuple[str, int], _Lane] = {}
        gaps: set[Partition] = set()
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
            headers: Any = message.headers()  # a list of pairs; the stubs allow what only producers pass
            value = message.value()
            if value is not None and headers and len(headers) == 1 and headers[0][0] == STAMP_HEADER and len(headers[0][1]) == STAMP.size:
                lane.values.append(value)
                lane.stamps.append(headers[0][1])
            else:
                lane.settle()
                self._unusual(lane, value, headers)
        for lane in lanes.values():
            lane.settle()
        return gaps

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
        where = f"{message.topic()}[{message.partition()}]"
        if error.code() in _LOST:
            raise OffsetLost(f"{where}: the log does not hold the offset after the commit chain's tip any more: {error.str()}", where=where)
        if error.code() not in _PASSING and not error.retriable():
            raise translate(error, f"reading {where}")
