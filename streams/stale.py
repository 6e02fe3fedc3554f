"""Is the id index as new as what has been committed? One put back from a backup has its canary, and lacks the claims made since: copies of
those events would pass for new.

The newest event below each committed offset must be claimed, by whomever. Reads only; asked once, when a worker starts.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from dedup.deduplicator import is_claimable
from dedup.index import id_hasher
from dedup.plain import PlainIndex
from hourmark.errors import BrokerUnavailable, IndexLost
from hourmark.event import ID_END, ID_START
from hourmark.kafka import client_config, tail_config, translate
from hourmark.schemas import Snapshot
from hourmark.topics import event_type_of

from .groups import Where, groups_of, kept
from .settings import Settings

BACK: Final = 20  # records looked at before a committed offset: barriers and refused ones have no claim
PARTITIONS_MOST: Final = 200
READ_S: Final = 10.0
MUCH: Final = 16 << 10  # bytes of one partition at once
YOUNG: Final = 0.5  # of a claim's life: an older one may have gone by itself


class Newest(NamedTuple):
    """The newest event of a raw partition that is settled. `append_ms`: when it was appended."""

    event_type: str
    partition: int
    offset: int
    event_id: bytes
    append_ms: int


async def refuse_stale(settings: Settings, index: PlainIndex, found: list[Newest]) -> None:
    """Raises IndexLost when the index does not know one of these, IndexUnavailable."""
    hashed = [id_hasher(settings.hash_key, one.event_type)(one.event_id) for one in found]
    unknown = [found[position] for position in await index.missing(hashed)]
    if unknown:
        one = unknown[0]
        raise IndexLost(
            f"the id index lacks events that were settled long ago, {len(unknown)} of the newest {len(found)}, such as {one.event_type}"
            f"[{one.partition}] {one.offset}: it was put back from an older moment, or lost its last seconds. `hourmark dedup rebuild "
            "--again` puts in what it lacks"
        )


def newest_settled(settings: Settings, snapshot: Snapshot | None = None) -> list[Newest]:
    """Of the partitions of this platform's groups, as far as they are young. With a `snapshot` only those whose claims are never skipped.

    Raises BrokerUnavailable.
    """
    admin = AdminClient(client_config(settings))
    upto: dict[Where, int] = {}
    for group in groups_of(admin, settings.app_id):
        upto |= {where: found.offset for where, found in kept(admin, group).items() if found.moved_to is None and found.offset > 0}
    wanted = [where for where in sorted(upto, key=lambda where: -upto[where]) if snapshot is None or _always_claimed(snapshot, where[0])]
    young = (time.time() - YOUNG * settings.claim_seconds) * 1000
    return [one for one in _read(settings, {where: upto[where] for where in wanted[:PARTITIONS_MOST]}) if one.append_ms > young]


def _always_claimed(snapshot: Snapshot, topic: str) -> bool:
    declared = snapshot.types.get(event_type_of(topic))
    return declared is not None and declared.dedup == "closed"


def _read(settings: Settings, upto: dict[Where, int]) -> list[Newest]:
    """The last claimable record below each offset; none of partitions that do not hold it any more."""
    if not upto:
        return []
    found: dict[Where, Newest] = {}
    left = dict(upto)
    consumer = Consumer(tail_config(settings, enable_partition_eof=True, fetch_message_max_bytes=MUCH))
    try:
        consumer.assign([TopicPartition(*where, max(0, end - BACK)) for where, end in upto.items()])
        deadline = time.monotonic() + READ_S
        while left and time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.2):
                _take(message, left, found)
    except KafkaException as exc:
        raise translate(exc, "reading the newest settled events") from exc
    finally:
        consumer.close()
    if left:
        raise BrokerUnavailable(f"the newest events of {len(left)} raw partitions did not come within {READ_S:.0f} s")
    return list(found.values())


def _take(message: Message, left: dict[Where, int], found: dict[Where, Newest]) -> None:
    error, where, offset = message.error(), (message.topic() or "", message.partition() or 0), message.offset() or 0
    if error is not None:
        if error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            left.pop(where, None)  # the log ends earlier, or begins later: another check's business
            return
        if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
            return
        raise translate(error, "reading the newest settled events")
    if where not in left:
        return
    value = message.value()
    if offset < left[where] and value is not None and is_claimable(value):
        found[where] = Newest(event_type_of(where[0]), where[1], offset, value[ID_START:ID_END], message.timestamp()[1])
    if offset + 1 >= left[where]:
        del left[where]
