"""At start, Kafka and the store are made to agree: topics stand again, used numbers stay used, an emptied control topic is filled.

The store is the truth; but a control topic that knows more (a store lost or restored from a backup) keeps its numbers for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from hourmark.errors import BrokerUnavailable
from hourmark.kafka import tail_config, translate
from hourmark.schemas import EventType, WireSchema, decode_entry
from hourmark.topics import CONTROL

from .catalog import another_raw, draft, wanted_topics
from .declaration import Declaration
from .gathering import MOST
from .history import ITSELF, Byline
from .provision import Provisioned, Provisioner, Wanted
from .rows import Stale, StoredEvent
from .settings import Settings
from .store import Store

log = structlog.get_logger()

READ_S = 30.0
MENDED = Byline(ITSELF, "its topics were missing and stand again")


class Broadcast(NamedTuple):
    """What the control topic holds: how many records, the highest numbers, and the event types with their sources."""

    records: int
    revision: int
    schema_id: int
    sources: dict[str, int]


class Recovered(NamedTuple):
    """Event types whose topics stood, still to be looked at; and sources of those that nodes know and the store does not."""

    standing: list[StoredEvent]
    sources: dict[str, int]


def read_control(settings: Settings) -> Broadcast:
    """Read the control topic to its end. Raises BrokerUnavailable."""
    consumer = Consumer(tail_config(settings, enable_partition_eof=True))
    records, revision, schema_id = 0, 0, 0
    sources: dict[str, int] = {}
    deadline = time.monotonic() + READ_S
    try:
        consumer.assign([TopicPartition(CONTROL, 0, OFFSET_BEGINNING)])
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.05):
                error, value = message.error(), message.value()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return Broadcast(records, revision, schema_id, sources)
                if error is not None:
                    raise translate(error, f"reading {CONTROL}")
                records += 1
                if value is None:
                    continue
                try:
                    entry = decode_entry(value)
                except msgspec.DecodeError as exc:
                    log.warning("control entry ignored: not understood", offset=message.offset(), error=str(exc))
                    continue
                revision = max(revision, entry.revision)
                if isinstance(entry, WireSchema):
                    schema_id = max(schema_id, entry.schema_id)
                elif isinstance(entry, EventType):
                    sources[entry.event] = entry.source
    finally:
        consumer.close()
    raise BrokerUnavailable(f"reading {CONTROL}: no end within {READ_S:.0f} s")


def recover(settings: Settings, store: Store, provisioner: Provisioner) -> Recovered:
    """Platform topics, then the topics of every event type, then the broadcast. Safe to do twice, and by several registries at a time.

    Raises BrokerUnavailable.
    """
    created = provisioner.platform()
    if created:
        log.info("platform topics created", topics=created)
    broadcast = read_control(settings)
    floor = settings.numbers_after
    store.skip_to(max(broadcast.revision, floor), max(broadcast.schema_id, floor))
    sound = _topics(store, provisioner)
    known = set(store.event_names())
    unknown = {event: source for event, source in broadcast.sources.items() if event not in known}
    if unknown:
        told = "the control topic names event types that this store does not know; declare them again"
        log.warning(told, count=len(unknown), some=sorted(unknown)[:3])
    if not broadcast.records:
        count = store.publish_again()
        if count:
            log.warning("hourmark.control is empty: publishing the whole catalogue again", entries=count)
    return Recovered(sound, unknown)


def settle(store: Store, provisioner: Provisioner, standing: Sequence[StoredEvent]) -> None:
    """Topics that stood: is each raw topic the one that we know, and do all have the right configuration? Raises BrokerUnavailable."""
    ids = provisioner.raw_ids(current.event for current in standing)
    for current in standing:
        stands = Provisioned(current.partitions, False, ids.get(current.event, ""))
        if stands.raw_id and not current.raw_id:
            store.know_raw(current.event, stands.raw_id)
        elif another_raw(current, stands):
            log.warning("the raw topic of an event type was made anew behind our back: a new source", event_type=current.event)
            _mend(store, current, stands)
    provisioner.correct(configuration(standing))


def configuration(standing: Iterable[StoredEvent]) -> list[Wanted]:
    """How the topics of these event types should be."""
    return [wanted_topics(Declaration.model_validate(current.document), current) for current in standing]


def _topics(store: Store, provisioner: Provisioner) -> list[StoredEvent]:
    known = store.all_events()
    standing = provisioner.standing(event.event for event in known)
    sound, broken = list[StoredEvent](), list[StoredEvent]()
    for current in known:
        stands = all(standing.get(f"{stage}.{current.event}", 0) >= current.partitions for stage in ("clean", "raw"))
        (sound if stands else broken).append(current)
    for start in range(0, len(broken), MOST):
        batch = broken[start : start + MOST]
        found = provisioner.all_event_topics(configuration(batch))
        for current in batch:
            outcome = found[current.event]
            if isinstance(outcome, Exception):
                raise outcome
            log.warning("topics of an event type were missing and stand again", event_type=current.event, partitions=outcome.partitions)
            if another_raw(current, outcome) or outcome.partitions != current.partitions:
                _mend(store, current, outcome)
    return sound


def _mend(store: Store, current: StoredEvent, stands: Provisioned) -> None:
    """Store what now stands. Whoever changes the declaration meanwhile does not know that the raw topic is another one."""
    found: StoredEvent | None = current
    while found is not None and (another_raw(found, stands) or stands.partitions > found.partitions):
        grown = stands._replace(partitions=max(stands.partitions, found.partitions))
        try:
            store.commit(draft(Declaration.model_validate(found.document), found, grown, MENDED, "topics"))
            return
        except Stale:
            found = store.event(current.event)
