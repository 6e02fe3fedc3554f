"""What flows and what waits, by Kafka alone: a handful of requests for all partitions of all event types."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from hourmark.hours import Hours
from hourmark.topics import REJECTED, clean_topic, raw_topic
from sinks.blocking import Flow

from ..addresses import Addresses
from ..flows import Offsets, Place, flows_of, offsets
from ..watch.log import Log
from .model import RECENT_S

STALLED_S: Final = 120


class Stream(NamedTuple):
    """One event type, as `TypeState` has it."""

    lag: int = 0
    stalled: bool = False
    sink_lag: int = 0
    recent: int = 0
    partitions: Mapping[int, Flow] = {}


class Moments(NamedTuple):
    """First offsets at some times. `recent`: of raw topics, `recent_s` ago. Only of partitions with something unread: `stalled`, two
    minutes ago; `closed`, when the newest hour ended whose barriers must have been written."""

    recent: Mapping[Place, int] = {}
    stalled: Mapping[Place, int] = {}
    closed: Mapping[Place, int] = {}


def streams(at: Addresses, names: Iterable[str]) -> tuple[dict[str, Stream], frozenset[Place]]:
    """By event type, and the partitions that no broker leads, of which nothing is known. Raises Unavailable."""
    names, now, log = list(names), time.time(), Log(at)
    known = offsets(at, names)
    raw = [place for place in known.ends if place[0].startswith(raw_topic(""))]
    behind = [place for place in known.ends if unread(known, place)]
    recent = log.at_time(raw, int((now - recent_s(at.hours)) * 1000), known.ends)
    unread_raw = [place for place in behind if place[0].startswith(raw_topic(""))]
    unread_clean = [place for place in behind if place[0].startswith(clean_topic(""))]
    moments = Moments(
        recent,
        log.at_time(unread_raw, int((now - STALLED_S) * 1000), known.ends),
        log.at_time(unread_clean, at.hours.end_ms(closed_hour(at.hours, now)), known.ends),
    )
    return told(names, known, moments, barriers(at.hours, now)), known.mute


def told(names: Iterable[str], known: Offsets, moments: Moments, barriers_: int) -> dict[str, Stream]:
    """`barriers_`: so many of the recent records of a raw partition are no events."""
    found = {}
    for name, partitions in flows_of(known, names).items():
        raws = [(raw_topic(name), number) for number in partitions]
        cleans = [(clean_topic(name), number) for number in partitions]
        found[name] = Stream(
            lag=sum(flow.dedup_lag or 0 for flow in partitions.values()),
            stalled=any(moments.stalled.get(place, 0) > known.dedup.committed.get(place, 0) for place in raws),
            sink_lag=sum(max(0, moments.closed.get(place, 0) - known.sink.committed.get(place, 0)) for place in cleans),
            recent=sum(max(0, known.ends[place] - moments.recent[place] - barriers_) for place in raws if place in moments.recent),
            partitions=partitions,
        )
    return found


def unread(known: Offsets, place: Place) -> int:
    group = known.dedup if place[0].startswith(raw_topic("")) else known.sink
    return max(0, known.ends[place] - group.committed.get(place, 0))


def closed_hour(clock: Hours, now: float) -> int:
    """The newest hour whose barriers were due some seconds ago. What is on a clean topic from before its end should be in parts."""
    return clock.of(int((now - max(2 * clock.margin_s, clock.margin_s + 5.0)) * 1000)) - 1


def barriers(clock: Hours, now: float) -> int:
    """How many barriers were due on each raw partition in the last `recent_s`: none, or one."""
    return clock.of(int((now - clock.margin_s) * 1000)) - clock.of(int((now - clock.margin_s - recent_s(clock)) * 1000))


def recent_s(clock: Hours) -> int:
    """Never more than an hour, so that what a new topic lacks of barriers is little."""
    return min(RECENT_S, clock.seconds)


def rejected(at: Addresses) -> int:
    """Records on `rejected` of the last `recent_s`. Raises Unavailable."""
    log = Log(at)
    ends = log.ends(log.places([REJECTED]))
    begins = log.at_time(ends, int((time.time() - recent_s(at.hours)) * 1000), ends)
    return sum(ends[place] - begins[place] for place in ends)
