"""The records of one event type as they come: clean, raw and rejected read side by side by one consumer, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from hourmark.errors import Unavailable
from hourmark.event import ID_END, ID_START, STAMP, STAMP_HEADER, Stamp, read_clean_barrier, unpack_stamp
from hourmark.rejects import Reject, read_reject
from hourmark.topics import REJECTED, clean_topic, raw_topic

from ..failures import Unreachable, WrongInput
from .joining import Join
from .log import Log, Place

ACCEPTED, DUPLICATE, REFUSED = "accepted", "duplicate", "rejected"
KINDS: Final = (ACCEPTED, DUPLICATE, REFUSED)
HELD_BYTES: Final = 64 << 20  # raw records of which nothing is known yet, all partitions together
AHEAD: Final = 200_000  # forwarded records of a partition that raw has not come to
REMEMBERED: Final = 100_000  # ids forwarded lately
SKEW_MS: Final = 60_000  # between the clocks of two brokers
POLL: Final = 2_000
SETTLE_EVERY_S: Final = 1.0
GROW_EVERY_S: Final = 15.0


class Watched(NamedTuple):
    """What is to be known of an event type beforehand."""

    name: str
    source: int = 1


class Seen(NamedTuple):
    """A record that came. `stamp`: of a clean one; `reject`: of a refused one; `kept`: raw partition and offset of the copy that counts."""

    kind: str
    message: Message
    stamp: Stamp | None = None
    reject: Reject | None = None
    kept: tuple[int, int] | None = None


class Following:
    """`since_ms` None: from now on; 0: all that Kafka holds; else what was appended since then."""

    def __init__(self, log: Log, watched: Watched, kinds: Collection[str], since_ms: int | None) -> None:
        self._log, self._watched, self._kinds, self._since = log, watched, frozenset(kinds), since_ms
        self._raw, self._clean = raw_topic(watched.name), clean_topic(watched.name)
        self._joins: dict[int, Join[Message]] = {}
        self._kept: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._clean_next: dict[int, int] = {}
        self._marks: dict[int, tuple[int, int]] = {}
        self._gates: dict[int, tuple[int, int]] = {}  # partition → (raw offset that dedup has passed, clean end after that was asked)
        self._settled_at = 0.0
        self._widths: dict[str, int] = {}
        self._grown_at = time.monotonic()
        self._paused: set[Place] = set()
        self._consumer: Consumer | None = None

    def polls(self) -> Iterator[list[Seen]]:
        """What came, poll by poll, for ever; often nothing. Raises Unreachable, BrokerUnavailable, WrongInput."""
        starts = self._starts()
        self._consumer = self._log.consumer()
        try:
            self._consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in starts.items()])
            while True:
                found: list[Seen] = []
                for message in self._consumer.consume(POLL, 0.2):
                    if self._fine(message):
                        found += self._take(message)
                found += self._settle()
                self._balance()
                self._grow()
                yield found
        finally:
            self._consumer.close()

    @property
    def undecided(self) -> int:
        """Raw records that dedup has not settled yet, as far as is known."""
        return sum(join.waiting for join in self._joins.values())

    def _starts(self) -> dict[Place, int]:
        """Clean is asked before raw: what stands on raw from then on comes to clean from then on."""
        by_topic = self._log.counts([self._raw, self._clean, REJECTED])
        if self._clean not in by_topic or self._raw not in by_topic:
            raise WrongInput(f"there are no topics of {self._watched.name} in this Kafka", remedy="see `hourmark status`")
        joined = DUPLICATE in self._kinds
        wanted = [self._clean] * (joined or ACCEPTED in self._kinds) + [self._raw] * joined
        wanted += [REJECTED] * (REFUSED in self._kinds and REJECTED in by_topic)
        starts: dict[Place, int] = {}
        self._widths = {topic: by_topic[topic] for topic in wanted}
        for topic in wanted:
            places = [(topic, number) for number in range(by_topic[topic])]
            if self._since is None:
                starts |= self._log.ends(places)
            elif not self._since:
                starts |= self._log.begins(places)
            else:
                starts |= self._log.at_time(places, self._since - SKEW_MS * (topic == self._clean))
        self._clean_next = {number: offset for (topic, number), offset in starts.items() if topic == self._clean}
        if joined:
            begins = self._log.begins([(self._clean, number) for number in self._clean_next])
            for (_, number), begin in begins.items():
                trusted = not begin or self._since is None or self._clean_next[number] > begin
                self._joins[number] = Join(starts[self._raw, number], self._watched.source, trusted=trusted)
        return starts

    def _fine(self, message: Message) -> bool:
        error = message.error()
        if error is not None and error.code() == KafkaError._ALL_BROKERS_DOWN:
            raise Unreachable(f"Kafka has gone: {error.str()}", remedy="see `hourmark status`")
        return error is None

    def _take(self, message: Message) -> list[Seen]:
        topic = message.topic()
        if topic == self._clean:
            return self._take_clean(message)
        if topic == REJECTED:
            reject = read_reject(headers_of(message))
            ours = reject is not None and reject.event_type == self._watched.name
            return [Seen(REFUSED, message, reject=reject)] if ours and message.timestamp()[1] >= (self._since or 0) else []
        value = message.value()
        if value is None or len(value) < ID_END or value[0] != 0:
            return []  # a barrier, or what goes to `rejected`
        join = self._joins[message.partition() or 0]
        return [self._duplicate(one) for one in join.raw(message.offset() or 0, message, len(value))]

    def _take_clean(self, message: Message) -> list[Seen]:
        number = message.partition() or 0
        self._clean_next[number] = (message.offset() or 0) + 1
        headers, value = headers_of(message), message.value()
        join = self._joins.get(number)
        if value is None:
            barrier = read_clean_barrier(headers)
            if barrier is None or join is None:
                return []
            return [self._duplicate(one) for one in join.clean(barrier.source, barrier.offset, barrier=True)[1]]
        stamp = stamp_of(headers)
        if stamp is None:
            return []  # nobody's record: the sink sends it to `rejected`
        found: list[Seen] = []
        if join is None:  # raw is not read
            fresh = (stamp.source, stamp.offset) > self._marks.get(number, (0, -1))
            self._marks[number] = max(self._marks.get(number, (0, -1)), (stamp.source, stamp.offset))
        else:
            fresh, overtaken = join.clean(stamp.source, stamp.offset)
            found = [self._duplicate(one) for one in overtaken]
            self._remember(value[ID_START:ID_END], (stamp.partition, stamp.offset))
        if fresh and ACCEPTED in self._kinds and stamp.append_ms >= (self._since or 0):
            found.append(Seen(ACCEPTED, message, stamp))
        return found

    def _remember(self, event_id: bytes, kept: tuple[int, int]) -> None:
        self._kept.setdefault(event_id, kept)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)

    def _duplicate(self, message: Message) -> Seen:
        value = message.value() or b""
        return Seen(DUPLICATE, message, kept=self._kept.get(value[ID_START:ID_END]))

    def _settle(self) -> list[Seen]:
        """Copies that nothing has overtaken yet: dedup has committed behind them, and clean has been read to where it stood after that."""
        now = time.monotonic()
        if now - self._settled_at >= SETTLE_EVERY_S and self.undecided:
            self._settled_at = now
            try:
                passed = self._log.committed(self._watched.name, len(self._joins))
                ends = self._log.ends([(self._clean, number) for number in self._joins])
            except Unavailable:
                return []  # asked again in a second
            self._gates = {number: (offset, ends[self._clean, number]) for number, offset in passed.items() if number in self._joins}
        found: list[Seen] = []
        for number, (offset, end) in list(self._gates.items()):
            if self._clean_next[number] >= end:
                found += [self._duplicate(one) for one in self._joins[number].passed(offset)]
                del self._gates[number]
        return found

    def _balance(self) -> None:
        """Whichever log of a partition runs too far ahead of the other waits for it."""
        assert self._consumer is not None
        limit = HELD_BYTES // max(len(self._joins), 1)
        for number, join in self._joins.items():
            self._pause((self._raw, number), join.held > limit, join.held > limit // 2)
            self._pause((self._clean, number), join.ahead > AHEAD, join.ahead > AHEAD // 2)

    def _grow(self) -> None:
        """Partitions that were added meanwhile are read from their beginning."""
        now = time.monotonic()
        if now - self._grown_at < GROW_EVERY_S:
            return
        self._grown_at = now
        try:
            counts = self._log.counts(self._widths)
        except Unavailable:
            return
        if self._raw in self._widths and counts.get(self._raw) != counts.get(self._clean):
            return  # clean has grown and raw not yet: both are taken together
        new = [
            TopicPartition(topic, number, 0) for topic, width in self._widths.items() for number in range(width, counts.get(topic, width))
        ]
        for place in new:
            if place.topic == self._clean:
                self._clean_next[place.partition] = 0
                if self._raw in self._widths:
                    self._joins[place.partition] = Join(0, self._watched.source)
        if new and self._consumer is not None:
            self._widths |= {topic: max(width, counts.get(topic, 0)) for topic, width in self._widths.items()}
            self._consumer.incremental_assign(new)

    def _pause(self, place: Place, much: bool, still_much: bool) -> None:
        assert self._consumer is not None
        if much and place not in self._paused:
            self._paused.add(place)
            self._consumer.pause([TopicPartition(*place)])
        elif place in self._paused and not still_much:
            self._paused.discard(place)
            self._consumer.resume([TopicPartition(*place)])


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    found: Any = message.headers() or ()
    return [(name, value) for name, value in found if isinstance(value, bytes)]


def stamp_of(headers: list[tuple[str, bytes]]) -> Stamp | None:
    return next((unpack_stamp(value) for name, value in headers if name == STAMP_HEADER and len(value) == STAMP.size), None)


def source_of(declared: Mapping[str, Any]) -> int:
    """Which incarnation of its raw topic an event type has, by the registry's answer."""
    return int(declared.get("source") or 1)
