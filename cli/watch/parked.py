"""What waits on `parked`, as far as a quick look tells: events of a name that nobody has declared, and whether they were replayed since."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Message

from hourmark.errors import Unavailable
from hourmark.parked import parked_partition, parked_type, read_parked
from hourmark.topics import PARKED

from ..addresses import Addresses
from ..held.waiting import replays
from .decoding import appended
from .log import Log, Place, Span

LOOK_BACK: Final = 50_000  # newest records of the partition
LOOK_S: Final = 3.0


class Waiting(NamedTuple):
    """`whole`: the partition was read from its first record."""

    events: int
    oldest: datetime | None
    whole: bool


def settled(log: Log) -> dict[Place, int]:
    """(Event type, partition of `parked`) → the offset below which all its events have been replayed or rejected."""
    return {place: one.next for place, one in replays(log).items()}


def waiting(log: Log, event_type: str) -> Waiting:
    """Parked records of this type among the newest ones, without those that were replayed."""
    deadline = time.monotonic() + LOOK_S
    times: list[datetime] = []
    place = PARKED, parked_partition(event_type)
    if place not in log.places([PARKED]):
        return Waiting(0, None, True)
    done = settled(log).get((event_type, place[1]), 0)

    def see(message: Message) -> None:
        if (message.offset() or 0) >= done and parked_type(message.headers()) == event_type:
            times.append(appended(message))

    begin, end = log.begins([place])[place], log.ends([place])[place]
    span = Span(max(begin, end - LOOK_BACK, done), end)
    reached = log.scan({place: span}, deadline, see)
    return Waiting(len(times), min(times, default=None), span.start <= max(begin, done) and reached[place] >= end)


def waiting_words(at: Addresses, event_type: str) -> str:
    """`12 events of this name are parked since …`; empty when there are none, or Kafka does not say."""
    if not at.kafka:
        return ""
    try:
        found = waiting(Log(at), event_type)
    except Unavailable:
        return ""
    if not found.events or found.oldest is None:
        return ""
    least = "" if found.whole else "at least "
    events = "1 event of this name is" if found.events == 1 else f"{found.events:,} events of this name are"
    return f"{least}{events} parked since {found.oldest:%Y-%m-%d %H:%M:%S} UTC"


def sender_of(message: Message) -> dict[str, Any]:
    """Who sent a parked record, as far as it says."""
    try:
        envelope = read_parked(message.value() or b"").envelope
    except msgspec.DecodeError:
        return {}
    return {"sdk": envelope.sdk, "sdk_version": envelope.sdk_version, "app": envelope.app}
