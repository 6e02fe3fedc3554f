"""Is a clean log the one that a commit chain was written from? Offsets cannot tell: a log made anew, or put back from an older moment,
grows past the chain's end, and what it holds below would never be read.

Asked whenever partitions are taken over. A log is known again by the append time of the record before the chain's end; as a rule the
brokers' time index says it, for all partitions in three requests a broker, and no record is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.errors import BrokerUnavailable, OffsetLost
from hourmark.kafka import client_config, partition_counts, tail_config, translate
from hourmark.settings import PlatformSettings
from hourmark.topics import Partition, clean_topic

from .books import iso
from .commits import Tip

ANSWER_S: Final = 10.0
READ_S: Final = 20.0
MUCH: Final = 64 << 10  # bytes of one partition at once; the broker gives a whole batch at least
EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library forgot its annotation
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
ANOTHER: Final = "Kafka was lost or put back from an older moment; docs/runbooks/kafka-lost.md says how to go on"


class Extent(NamedTuple):
    """Offsets `begin` … `end` - 1 are there."""

    begin: int
    end: int


class CleanLogs:
    """Looks at clean partitions through clients of its own."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_config(settings))

    def check(self, tips: Mapping[Partition, Tip]) -> None:
        """Returns when every chain can go on from its log. Raises OffsetLost with the first that cannot, BrokerUnavailable."""
        known = {partition: tip for partition, tip in tips.items() if tip.offset}
        extents = self.extents(known)
        for partition, tip in known.items():
            trouble = _outside(tip, extents[partition])
            if trouble:
                raise _lost(partition, trouble)
        timed = {p: tip for p, tip in known.items() if tip.appended_ms and extents[p].begin < tip.offset}
        asked = {p: timed[p].offset - 1 for p in self._doubtful(timed)}
        for partition, found in self.appended(asked).items():
            tip = known[partition]
            if found != tip.appended_ms:
                told = f"the record at offset {tip.offset - 1} was appended at {iso(found)}"
                raise _lost(partition, f"{told}, the lake has one of {iso(tip.appended_ms)} there: {ANOTHER}")

    def widths(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions those of these topics have that exist. Raises BrokerUnavailable."""
        return partition_counts(self._admin, topics)

    def extents(self, partitions: Iterable[Partition]) -> dict[Partition, Extent]:
        """What each log holds now. Raises BrokerUnavailable."""
        wanted = list(partitions)
        begins, ends = self._offsets(wanted, EARLIEST), self._offsets(wanted, LATEST)
        return {partition: Extent(begins[partition], ends[partition]) for partition in wanted}

    def _doubtful(self, tips: Mapping[Partition, Tip]) -> list[Partition]:
        """Those of which the time index does not say that the chain's last record is there, appended when the chain says.

        It is there when the first record appended at that time or later was appended at that time and does not stand behind it, and the
        first one that is younger does. A clock that went back leaves a doubt, never a wrong yes: another log has younger records there.
        """
        since = self._listed({p: OffsetSpec.for_timestamp(tip.appended_ms) for p, tip in tips.items()})
        after = self._listed({p: OffsetSpec.for_timestamp(tip.appended_ms + 1) for p, tip in tips.items()})
        return [
            partition
            for partition, tip in tips.items()
            if since[partition].timestamp != tip.appended_ms
            or not 0 <= since[partition].offset < tip.offset
            or 0 <= after[partition].offset < tip.offset
        ]

    def _offsets(self, partitions: list[Partition], spec: Any) -> dict[Partition, int]:
        return {partition: int(found.offset) for partition, found in self._listed(dict.fromkeys(partitions, spec)).items()}

    def _listed(self, wanted: Mapping[Partition, Any]) -> dict[Partition, Any]:
        """`offset` (-1: there is none) and `timestamp` of each partition's record that a spec asks for."""
        if not wanted:
            return {}
        asked = {_place(partition): spec for partition, spec in wanted.items()}
        try:
            answers = self._answers(asked)
        except KafkaException:
            # This client never learns that a leader has changed, and is refused for ever by the new one: one more try with another.
            self._admin = AdminClient(client_config(self._settings))
            try:
                answers = self._answers(asked)
            except KafkaException as exc:
                raise translate(exc, "asking what the clean logs hold") from exc
        return {partition: answers[clean_topic(partition.event_type), partition.number] for partition in wanted}

    def _answers(self, asked: dict[TopicPartition, Any]) -> dict[tuple[str, int], Any]:
        found = self._admin.list_offsets(asked, request_timeout=ANSWER_S)
        return {(place.topic, place.partition): future.result() for place, future in found.items()}

    def appended(self, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
        """When the record at each of these offsets was appended, in ms. Raises BrokerUnavailable when one cannot be read."""
        if not offsets:
            return {}
        left = {(clean_topic(p.event_type), p.number): p for p in offsets}
        found: dict[Partition, int] = {}
        consumer = Consumer(tail_config(self._settings, fetch_message_max_bytes=MUCH, queued_min_messages=1))
        try:
            consumer.assign([_place(partition, offset) for partition, offset in offsets.items()])
            deadline = time.monotonic() + READ_S
            while left:
                for message in consumer.consume(1000, 0.5):
                    error = message.error()
                    if error is not None:
                        raise translate(error, f"reading {message.topic()}[{message.partition()}]")
                    partition = left.pop((message.topic() or "", message.partition() or 0), None)
                    if partition is not None:  # the first of its partition
                        found[partition] = message.timestamp()[1]
                if left and time.monotonic() > deadline:
                    raise BrokerUnavailable(f"no record of {len(left)} clean partitions came within {READ_S:.0f} s")
            return found
        except KafkaException as exc:
            raise translate(exc, "reading the clean logs") from exc
        finally:
            consumer.close()


def _outside(tip: Tip, extent: Extent) -> str:
    """Why the log does not hold what follows the chain, empty when it does."""
    if extent.end < tip.offset:
        return f"the log ends at {extent.end}, and the lake was written up to {tip.offset}: {ANOTHER}"
    if extent.begin > tip.offset:
        return f"the log begins at {extent.begin}, and the lake was written up to {tip.offset}: retention has removed what lay between"
    return ""


def _lost(partition: Partition, trouble: str) -> OffsetLost:
    return OffsetLost(f"{clean_topic(partition.event_type)}[{partition.number}]: {trouble}", partition=partition)


def _place(partition: Partition, offset: int = -1) -> TopicPartition:
    return TopicPartition(clean_topic(partition.event_type), partition.number, offset)
