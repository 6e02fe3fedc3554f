"""Reads `rejected` for one event type, and groups what is there by code and sender, with one example of each whose values are masked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Message

from hourmark.rejects import Reject, read_reject
from hourmark.topics import REJECTED, is_event_type

from ..masking import path_shape, shape, unquoted
from ..watch.decoding import appended
from ..watch.log import Log, Place, Span

LOOKED_AT: Final = 500_000  # newest records of a partition
LOOK_S: Final = 120.0
PATHS: Final = 100  # failing paths counted of one group
RECEIVER: Final = "receiver"


class Group(NamedTuple):
    room: str
    code: str
    sdk: str
    version: str


@dataclass
class Refused:
    """Events of one group. `example`: the newest one's reject and bytes, `place` its partition and offset on `rejected`."""

    events: int = 0
    first: datetime | None = None
    last: datetime | None = None
    paths: Counter[str] = field(default_factory=Counter)
    example: tuple[Reject, bytes, tuple[int, int]] | None = None

    def saw(self, message: Message, reject: Reject) -> None:
        when = appended(message)
        self.events += 1
        self.first = when if self.first is None else min(self.first, when)
        if self.last is None or when >= self.last:
            self.last = when
            self.example = reject, message.value() or b"", (message.partition() or 0, message.offset() or 0)
        if reject.path in self.paths or len(self.paths) < PATHS:
            self.paths[reject.path] += 1


class Found(NamedTuple):
    groups: dict[Group, Refused]
    looked_at: int
    of: int


class Wanted(NamedTuple):
    """`since_ms` 0: everything that Kafka holds. `code` empty: all."""

    event_type: str
    code: str = ""
    since_ms: int = 0

    def has(self, reject: Reject | None) -> bool:
        return reject is not None and reject.event_type == self.event_type and self.code in ("", reject.code)


def spans_of(log: Log, since_ms: int) -> tuple[dict[Place, Span], dict[Place, Span]]:
    """What is to be read of `rejected`: all of it, and that part which is looked at."""
    places = log.places([REJECTED])
    starts, ends = log.at_time(places, since_ms) if since_ms else log.begins(places), log.ends(places)
    whole = {place: Span(starts[place], ends[place]) for place in places}
    return whole, {place: Span(max(span.start, span.end - LOOKED_AT), span.end) for place, span in whole.items()}


def grouped(log: Log, wanted: Wanted) -> Found:
    """Raises BrokerUnavailable."""
    whole, spans = spans_of(log, wanted.since_ms)
    groups: dict[Group, Refused] = {}
    looked_at = 0

    def see(message: Message) -> None:
        nonlocal looked_at
        looked_at += 1
        reject = reject_of(message)
        if reject is not None and wanted.has(reject):
            group = Group(reject.room, reject.code, reject.sdk, reject.sdk_version)
            groups.setdefault(group, Refused()).saw(message, reject)

    log.scan(spans, time.monotonic() + LOOK_S, see)
    return Found(groups, looked_at, sum(span.end - span.start for span in whole.values()))


def reject_of(message: Message) -> Reject | None:
    headers: Any = message.headers() or []
    return read_reject(headers)


def as_json(group: Group, refused: Refused) -> dict[str, Any]:
    """A group for people and machines; nothing in it is a value of an event."""
    example = None
    if refused.example is not None:
        reject, original, (partition, offset) = refused.example
        example = {
            "detail": unquoted(reject.detail),
            "path": path_shape(reject.path),
            "partition": partition,
            "offset": offset,
            **({"came_from": f"{reject.topic}[{reject.partition}]@{reject.offset}"} if reject.topic else {}),
            **_masked(original),
        }
    return {
        **group._asdict(),
        "events": refused.events,
        "first": refused.first,
        "last": refused.last,
        "paths": {path_shape(path): count for path, count in refused.paths.most_common(10)},
        "replayable": group.room == RECEIVER,
        "example": example,
    }


def _masked(original: bytes) -> Mapping[str, Any]:
    """`event`: what identifies it as it is, everything else by shape."""
    try:
        event = msgspec.json.decode(original)
    except (msgspec.DecodeError, RecursionError):
        return {"bytes": len(original)}
    if not isinstance(event, dict):
        return {"event": shape(event)}
    told: dict[str, Any] = shape(event)
    for name in ("id", "time"):
        if told.get(name) in ("uuid", "date-time"):
            told[name] = event[name]
    for name in ("seq", "attempt"):
        if isinstance(event.get(name), int):
            told[name] = event[name]
    if is_event_type(str(event.get("type"))):
        told["type"] = event["type"]
    return {"event": told}


def rows(found: Found) -> Iterator[dict[str, Any]]:
    """Largest groups first."""
    for group, refused in sorted(found.groups.items(), key=lambda item: (-item[1].events, item[0])):
        yield as_json(group, refused)
