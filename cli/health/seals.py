"""Which hours were sealed lately, of all event types at once, by `hourmark.sealed-hours`: no request for each type."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Message

from hourmark.hours import Hours, label, parse_label
from hourmark.topics import SEALED_HOURS
from sinks.manifest import SealedHour
from sinks.watermarks import Delays

from ..addresses import Addresses
from ..watch.log import Log, Span
from .model import Newest

HOURS: Final = 24
LEAST_S: Final = 900
MOST: Final = 100_000  # records
LOOK_S: Final = 8.0


class Seals(NamedTuple):
    """Of the hours announced after `since` (seconds since 1970), by event type: the newest, seal delays in order, labels of the incomplete.

    A type that is in none of them has had no hour sealed since then.
    """

    since: float
    newest: dict[str, Newest]
    delays: dict[str, Delays]
    incomplete: dict[str, tuple[str, ...]]


def recent(at: Addresses) -> Seals:
    """Of the last 24 hours of the platform, or the newest hundred thousand records of them. Raises Unavailable."""
    log, since = Log(at), time.time() - max(LEAST_S, HOURS * at.hour_seconds)
    found: list[tuple[SealedHour, float]] = []
    decoder = msgspec.json.Decoder(SealedHour)

    def see(message: Message) -> None:
        try:
            found.append((decoder.decode(message.value() or b""), message.timestamp()[1] / 1000))
        except msgspec.DecodeError:
            return

    for place in log.places([SEALED_HOURS]):
        end = log.ends([place])[place]
        begin = log.at_time([place], int(since * 1000), {place: end})[place]
        start = max(begin, end - MOST)
        log.scan({place: Span(start, end)}, time.monotonic() + LOOK_S, see)
        if start > begin and found:
            since = found[0][1]
    return gathered(found, since, at.hours)


def gathered(found: Iterable[tuple[SealedHour, float]], since: float, clock: Hours) -> Seals:
    """`found`: announcements with the seconds at which Kafka had them. An hour may be announced again: the first time counts."""
    by_type: dict[str, dict[int, tuple[SealedHour, float]]] = {}
    for sealed, moment in found:
        by_type.setdefault(sealed.type, {}).setdefault(parse_label(sealed.hour), (sealed, moment))
    seals = Seals(since, {}, {}, {})
    for name, hours in by_type.items():
        newest = max(hours)
        seals.newest[name] = Newest(newest, hours[newest][0].rows, hours[newest][0].complete)
        late = [max(0.0, moment - clock.end_ms(hour) / 1000) for hour, (_, moment) in sorted(hours.items())]
        ranked = sorted(late)
        seals.delays[name] = Delays(late[-1], ranked[-(-len(ranked) // 2) - 1], ranked[-(-len(ranked) * 99 // 100) - 1])
        lacking = tuple(label(hour) for hour, (sealed, _) in sorted(hours.items()) if not sealed.complete)
        if lacking:
            seals.incomplete[name] = lacking
    return seals
