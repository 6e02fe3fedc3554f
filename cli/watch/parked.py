"""What waits on `parked` under the name of an event type, as far as a quick look tells."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from hourmark.errors import Unavailable
from hourmark.topics import PARKED

from ..addresses import Addresses
from .decoding import appended
from .following import headers_of
from .log import Log, Span

HEADER: Final = "hm-parked"
LOOK_BACK: Final = 50_000  # newest records of each partition
LOOK_S: Final = 3.0


class Waiting(NamedTuple):
    events: int
    oldest: datetime | None
    whole: bool  # the whole topic was looked through


def type_of(message: Message) -> str:
    """The event type that a parked record waits for."""
    return next((value.decode("utf-8", "replace") for name, value in headers_of(message) if name == HEADER), "")


def waiting(log: Log, event_type: str) -> Waiting:
    """Parked records of this type among the newest ones."""
    times: list[datetime] = []

    def see(message: Message) -> None:
        if type_of(message) == event_type:
            times.append(appended(message))

    places = log.places([PARKED])
    begins, ends = log.begins(places), log.ends(places)
    spans = {place: Span(max(begins[place], ends[place] - LOOK_BACK), ends[place]) for place in places}
    reached = log.scan(spans, time.monotonic() + LOOK_S, see)
    whole = all(spans[place].start == begins[place] and reached[place] >= spans[place].end for place in places)
    return Waiting(len(times), min(times, default=None), whole)


def waiting_words(at: Addresses, event_type: str) -> str:
    """`12 events of this name wait in parked since …`; empty when there are none, or Kafka does not say."""
    try:
        found = waiting(Log(at), event_type)
    except Unavailable:
        return ""
    if not found.events or found.oldest is None:
        return ""
    least = "" if found.whole else "at least "
    events = "1 event of this name is" if found.events == 1 else f"{found.events:,} events of this name are"
    return f"{least}{events} parked since {found.oldest:%Y-%m-%d %H:%M:%S} UTC"


def envelope_of(message: Message) -> dict[str, Any]:
    """The sender's facts that stand in a parked record."""
    try:
        found = json.loads(message.value() or b"")["envelope"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
