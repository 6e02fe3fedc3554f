"""Surveys the topic `parked`: which event types wait, how many events, from whom, since when, how far their replay is. Bounded; says so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Message
from confluent_kafka.admin import AdminClient

from hourmark.kafka import client_config, topic_config, translate
from hourmark.parked import PARKED_GROUP, ParkedEvent, Replayed, parked_type, read_parked, read_replayed
from hourmark.topics import PARKED, REPLAYS

from ..addresses import Addresses
from ..watch.decoding import appended
from ..watch.log import Log, Place, Span

LOOKED_AT: Final = 100_000  # records of a partition; of more, so many of the oldest and as many of the newest by half
TYPES: Final = 10_000
SENDERS: Final = 50  # of one event type
LOOK_S: Final = 60.0


class Sender(NamedTuple):
    sdk: str
    version: str
    app: str


@dataclass
class Held:
    """One event type. `replayed`, `rejected`: what has been settled; `events`: what waits, `since` and `newest` its first and last."""

    event_type: str
    events: int = 0
    since: datetime | None = None
    newest: datetime | None = None
    senders: Counter[Sender] = field(default_factory=Counter)
    replayed: int = 0
    rejected: int = 0
    settled_at: datetime | None = None
    example: ParkedEvent | None = None

    def saw(self, message: Message, parked: ParkedEvent | None) -> None:
        when = appended(message)
        self.events += 1
        self.since = when if self.since is None else min(self.since, when)
        self.newest = when if self.newest is None else max(self.newest, when)
        if parked is None:
            return
        said = parked.envelope
        sender = Sender(said.sdk, said.sdk_version, said.app)
        if sender not in self.senders and len(self.senders) >= SENDERS:
            sender = Sender("(others)", "", "")
        self.senders[sender] += 1
        self.example = self.example or parked


@dataclass
class Survey:
    """`looked_at` of `of` records were read. `unnamed`: events of types beyond those that are listed.

    `foreign`: records without a type, which no receiver has written.
    """

    held: dict[str, Held]
    retention: timedelta | None
    looked_at: int
    of: int
    unnamed: int = 0
    foreign: int = 0

    @property
    def sampled(self) -> bool:
        return self.looked_at < self.of


def survey(at: Addresses, only: str | None = None, most: int | None = None) -> Survey:
    """What waits, of this type or of all, by `most` records of a partition (None: LOOKED_AT). Raises BrokerUnavailable."""
    log = Log(at)
    progress = replays(log)
    spans, size = _spans(log, at, LOOKED_AT if most is None else most)
    found = Survey({}, _retention(at), 0, size)
    for one in progress.values():
        if only in (None, one.type):
            held = found.held.setdefault(one.type, Held(one.type))
            held.replayed += one.replayed
            held.rejected += one.rejected
            settled_at = datetime.fromtimestamp(one.at / 1000, UTC)
            held.settled_at = settled_at if held.settled_at is None else max(held.settled_at, settled_at)

    def see(message: Message) -> None:
        found.looked_at += 1
        name = parked_type(message.headers())
        known = progress.get((name, message.partition() or 0))
        if (only is not None and name != only) or (known is not None and (message.offset() or 0) < known.next):
            return
        if not name:
            found.foreign += 1
            return
        if name not in found.held and len(found.held) >= TYPES:
            found.unnamed += 1
            return
        found.held.setdefault(name, Held(name)).saw(message, _opened(message))

    deadline = time.monotonic() + LOOK_S
    for part in spans:
        log.scan(part, deadline, see)
    return found


def replays(log: Log) -> dict[tuple[str, int], Replayed]:
    """How far each replay is, by (event type, parked partition). What lies beyond a partition's end was said of a topic that is no more.

    Raises BrokerUnavailable.
    """
    found: dict[tuple[str, int], Replayed] = {}

    def see(message: Message) -> None:
        try:
            one = read_replayed(message.value() or b"")
        except msgspec.DecodeError:
            return
        found[one.type, one.partition] = one

    places = log.places([REPLAYS])
    begins, ends = log.begins(places), log.ends(places)
    log.scan({place: Span(begins[place], ends[place]) for place in places}, time.monotonic() + LOOK_S, see)
    parked = {partition: end for (_, partition), end in log.ends(log.places([PARKED])).items()}
    return {key: one for key, one in found.items() if one.next <= parked.get(one.partition, 0)}


def most_waiting(at: Addresses) -> int:
    """Records behind what receivers say is settled: a cheap upper bound of what waits. Raises BrokerUnavailable."""
    log = Log(at)
    places = log.places([PARKED])
    ends, starts = log.ends(places), _starts(log, at, places)
    return sum(ends[place] - starts[place] for place in places)


def _spans(log: Log, at: Addresses, most: int) -> tuple[list[dict[Place, Span]], int]:
    """What to read, in order, and how many records there are in all."""
    places = log.places([PARKED])
    ends, starts = log.ends(places), _starts(log, at, places)
    oldest: dict[Place, Span] = {}
    newest: dict[Place, Span] = {}
    for place in places:
        start, end = starts[place], ends[place]
        if end - start <= most:
            oldest[place] = Span(start, end)
        else:
            oldest[place], newest[place] = Span(start, start + most // 2), Span(end - most // 2, end)
    return [oldest, newest], sum(ends[place] - starts[place] for place in places)


def _starts(log: Log, at: Addresses, places: list[Place]) -> dict[Place, int]:
    """Where each partition's first unsettled record may be."""
    admin = AdminClient(client_config(at.settings()))
    try:
        answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(PARKED_GROUP)])[PARKED_GROUP].result()
    except KafkaException as exc:
        raise translate(exc, "asking what is settled") from exc
    committed = {(place.topic, place.partition): place.offset for place in answer.topic_partitions or ()}
    begins: Mapping[Place, int] = log.begins(places)
    return {place: max(begins[place], committed.get(place, 0)) for place in places}


def _retention(at: Addresses) -> timedelta | None:
    """How long Kafka keeps parked events; None for ever."""
    ms = int(topic_config(AdminClient(client_config(at.settings())), PARKED).get("retention.ms", -1))
    return timedelta(milliseconds=ms) if ms >= 0 else None


def _opened(message: Message) -> ParkedEvent | None:
    try:
        return read_parked(message.value() or b"")
    except msgspec.DecodeError:
        return None


def payload_of(parked: ParkedEvent) -> Any:
    """The payload of a parked event; None when it cannot be read."""
    try:
        event = msgspec.json.decode(parked.event)
    except (msgspec.DecodeError, RecursionError):
        return None
    return event.get("payload") if isinstance(event, dict) else None
