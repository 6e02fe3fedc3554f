"""The platform's topics as a looker-on reads them: ends, offsets by time, bounded scans. No group, no commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.errors import BrokerUnavailable, NotAllowed, PlatformError, Unavailable
from hourmark.event import read_raw_barrier
from hourmark.kafka import client_config, partition_counts, tail_config, translate
from hourmark.topics import is_event_type, raw_topic
from hourmark.why_away import WhyAway

from ..addresses import Addresses
from ..failures import Unreachable
from ..flows import DEDUP

Place = tuple[str, int]
CONSUME: Final = 10_000
GROUPS_FRESH_S: Final = 30.0
PATIENCE_S: Final = 15.0
FIRST_S: Final = 5.0
_latest: Any = OffsetSpec.latest
_earliest: Any = OffsetSpec.earliest
_for_timestamp: Any = OffsetSpec.for_timestamp


class Span(NamedTuple):
    """Offsets `start` … `end` - 1."""

    start: int
    end: int


class Log:
    """Every question raises Unavailable when Kafka does not answer."""

    def __init__(self, at: Addresses) -> None:
        self._settings, self._where = at.settings(), at.kafka
        self._admin = AdminClient(client_config(self._settings))
        self._groups: tuple[float, list[str]] = (float("-inf"), [])

    def counts(self, topics: Iterable[str], timeout: float = 10.0) -> dict[str, int]:
        """Partitions of each of these topics that exists."""
        try:
            return partition_counts(self._admin, topics, timeout)
        except BrokerUnavailable as exc:
            raise self._away(exc.__cause__, "listing topics") from exc

    def event_types(self) -> dict[str, int]:
        """Every event type that has a raw topic → its partitions."""
        try:
            found = self._admin.list_topics(timeout=10).topics.values()
        except KafkaException as exc:
            raise self._away(exc, "listing topics") from exc
        prefix = raw_topic("")
        raw = {str(meta.topic).removeprefix(prefix): len(meta.partitions) for meta in found if str(meta.topic).startswith(prefix)}
        return {name: count for name, count in raw.items() if count and is_event_type(name)}

    def places(self, topics: Iterable[str]) -> list[Place]:
        return [(topic, number) for topic, count in self.counts(topics).items() for number in range(count)]

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return self._offsets(places, _latest())

    def begins(self, places: Iterable[Place]) -> dict[Place, int]:
        return self._offsets(places, _earliest())

    def at_time(self, places: Iterable[Place], ms: int, ends: Mapping[Place, int] | None = None) -> dict[Place, int]:
        """The first offset appended at `ms` (since 1970) or later; the end where there is none: that of `ends`, if they are known."""
        wanted = list(places)
        found = self._offsets(wanted, _for_timestamp(max(ms, 0)))
        none = [place for place, offset in found.items() if offset < 0]
        known = ends if ends is not None else self.ends(none) if none else {}
        return found | {place: known[place] for place in none}

    def committed(self, event_type: str, partitions: int) -> dict[int, int]:
        """Raw partition → the offset up to which a dedup worker has settled everything: produced, acknowledged, committed."""
        topic, most = raw_topic(event_type), dict[int, int]()
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        try:
            for group in self._dedup_groups():
                asked = [ConsumerGroupTopicPartitions(group, wanted)]
                found = self._admin.list_consumer_group_offsets(asked)[group].result().topic_partitions
                for place in found or ():
                    most[place.partition] = max(most.get(place.partition, 0), place.offset)
        except KafkaException as exc:
            raise self._away(exc, "asking how far dedup is") from exc
        return most

    def consumer(self, **more: Any) -> Consumer:
        """To be assigned and closed by the caller."""
        defaults = {"auto_offset_reset": "earliest", "queued_max_messages_kbytes": 32_768}
        return Consumer(tail_config(self._settings, **(defaults | more)))

    def scan(self, spans: Mapping[Place, Span], deadline: float, see: Callable[[Message], bool | None]) -> dict[Place, int]:
        """Give every record of these spans to `see`, in order within a partition, until its time is up (`deadline`, monotonic) or `see`
        says True. Returns how far each partition was read."""
        reached = {place: span.start for place, span in spans.items()}
        for messages in self.polls(spans, deadline):
            for message in messages:
                reached[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1
                if see(message):
                    return reached
        return reached

    def polls(self, spans: Mapping[Place, Span], deadline: float) -> Iterator[list[Message]]:
        """The records of these spans, poll by poll, in order within a partition, until `deadline`."""
        left = {place: span.end for place, span in spans.items() if span.start < span.end}
        if not left:
            return
        consumer, heard = self.consumer(), time.monotonic()
        try:
            consumer.assign([TopicPartition(topic, number, spans[topic, number].start) for topic, number in left])
            while left and time.monotonic() < deadline:
                messages = consumer.consume(CONSUME, 0.2)
                heard = time.monotonic() if messages else heard
                if time.monotonic() - heard > PATIENCE_S:
                    raise BrokerUnavailable(f"nothing came of {len(left)} partitions for {PATIENCE_S:.0f} s")
                yield _within(consumer, messages, left)
        finally:
            consumer.close()

    def _away(self, exc: BaseException | None, what: str) -> PlatformError:
        """As the command line says it."""
        if isinstance(exc, KafkaException):
            found = translate(exc, what)
            if isinstance(found, NotAllowed) or not isinstance(found, Unavailable):
                return found
        why = WhyAway(self._settings)()
        return Unreachable(f"Kafka does not answer ({what}){': ' if why else ''}{why}", where=self._where, remedy="see `hourmark status`")

    def _dedup_groups(self) -> list[str]:
        asked, known = self._groups
        if time.monotonic() - asked > GROUPS_FRESH_S or not known:
            found = self._admin.list_consumer_groups().result().valid
            known = [group.group_id for group in found if group.group_id.startswith(DEDUP)]
            self._groups = time.monotonic(), known
        return known

    def _offsets(self, places: Iterable[Place], spec: Any) -> dict[Place, int]:
        wanted = {TopicPartition(topic, number): spec for topic, number in places}
        if not wanted:
            return {}
        try:
            answers = self._admin.list_offsets(wanted)
            return {(place.topic, place.partition): future.result().offset for place, future in answers.items()}
        except KafkaException as exc:
            raise self._away(exc, "asking for offsets") from exc


def first_hour(at: Addresses, event_type: str) -> int | None:
    """The hour after the one that the first barrier of a raw topic closes, or of its oldest record where that barrier has gone."""
    log, place, found = Log(at), (raw_topic(event_type), 0), list[int]()

    def see(message: Message) -> bool:
        headers: Any = message.headers()
        barrier = read_raw_barrier(headers) if message.value() is None else None
        found.append(at.hours.of(message.timestamp()[1]) if barrier is None else barrier.hour + 1)
        return True

    begin = log.begins([place])[place]
    if begin < log.ends([place])[place]:
        log.scan({place: Span(begin, begin + 1)}, time.monotonic() + FIRST_S, see)
    return found[0] if found else None


def _within(consumer: Consumer, messages: list[Message], left: dict[Place, int]) -> list[Message]:
    """Those below the ends of their spans; a partition that has come to its end is not read on."""
    found: list[Message] = []
    for message in messages:
        error = message.error()
        if error is not None:
            if not error.retriable():
                raise translate(error, f"reading {message.topic()}")
            continue
        place = message.topic() or "", message.partition() or 0
        offset, end = message.offset() or 0, left.get(place)
        if end is None:
            continue
        if offset < end:
            found.append(message)
        if offset + 1 >= end:
            del left[place]
            consumer.incremental_unassign([TopicPartition(*place)])
    return found
