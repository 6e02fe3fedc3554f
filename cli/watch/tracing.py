"""Where one event id stands in Kafka: its copies on raw, the one on clean, refusals and parked ones. Bounded in time; says where it looked.

An id of our clients tells when it was made, so logs are entered by time; its bytes pick the partition. Both may mislead (a wrong
client clock, an event type with a key of its own): what is not found there is looked for in the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from confluent_kafka import Message

from hourmark.event import ID_END, ID_START
from hourmark.parked import parked_type
from hourmark.rejects import Reject, read_reject
from hourmark.topics import PARKED, REJECTED, clean_topic, event_type_of, partition_of, raw_topic

from .decoding import moment
from .following import SKEW_MS, headers_of, stamp_of
from .log import Log, Place, Span

BEFORE_MS: Final = 5 * 60_000
AFTER_MS: Final = 15 * 60_000
STEP: Final = 50_000  # records between two words about progress


class Found(NamedTuple):
    """The records of one event type with the id, in the order of their logs."""

    copies: list[Message]
    kept: list[Message]
    rejects: list[tuple[Message, Reject]]
    parked: list[Message]


class Searched(NamedTuple):
    """`complete` False: the time was up before the end."""

    what: str
    partitions: int
    records: int
    since: datetime | None
    complete: bool


class Tracer:
    """One search. `progress` gets a sentence now and then."""

    def __init__(self, log: Log, event_id: UUID, deadline: float, progress: Callable[[str], None]) -> None:
        self._log, self._id, self._deadline, self._progress = log, event_id.bytes, deadline, progress
        self._text = (str(event_id), event_id.hex)
        self._made = made_at(event_id)
        self._seen = 0
        self.found: dict[str, Found] = {}
        self.searched: list[Searched] = []

    def search(self, types: dict[str, int], since_ms: int | None) -> None:
        """`types`: event type → partitions. Raises BrokerUnavailable."""
        likely = [(raw_topic(name), partition_of(self._id, count)) for name, count in types.items()]
        aside = self._log.places([REJECTED, PARKED])
        start = since_ms if since_ms is not None else (self._made - BEFORE_MS if self._made is not None else 0)
        reached = self._look("the likely partitions", [*likely, *aside], start, None if self._made is None else self._made + AFTER_MS)
        if not self.found:
            reached = self._on("the same, up to now", reached)
        if not self.found and start > 0 and since_ms is None:
            self._look("the same, from the beginning", [*likely, *aside], 0, start)
        if not self.found:
            others = [(raw_topic(name), number) for name, count in types.items() for number in range(count)]
            self._look("all other partitions", [place for place in others if place not in set(likely)], start, None)
        for name in list(self.found):
            self._follow(name, reached)

    def _follow(self, name: str, reached: dict[Place, int]) -> None:
        """An event type that has the id: its later copies, and the one that dedup has forwarded."""
        found = self.found[name]
        if not found.copies:
            return
        newest = {(raw_topic(name), copy.partition() or 0): (copy.offset() or 0) + 1 for copy in found.copies}
        self._on(f"later copies of {name}", {place: max(offset, reached.get(place, 0)) for place, offset in newest.items()})
        first = min(copy.timestamp()[1] for copy in found.copies)
        numbers = sorted({copy.partition() or 0 for copy in found.copies})
        self._look(f"{clean_topic(name)}", [(clean_topic(name), number) for number in numbers], first - SKEW_MS, None, until=found.kept)

    def _look(
        self, what: str, places: Iterable[Place], since_ms: int, until_ms: int | None, until: list[Message] | None = None
    ) -> dict[Place, int]:
        """Scan these partitions from one time to another, or to their ends."""
        wanted = list(places)
        if not wanted:
            return {}
        starts = self._log.at_time(wanted, since_ms) if since_ms > 0 else self._log.begins(wanted)
        ends = self._log.ends(wanted) if until_ms is None else self._log.at_time(wanted, until_ms)
        return self._scan(what, {place: Span(starts[place], ends[place]) for place in wanted}, since_ms, until)

    def _on(self, what: str, reached: dict[Place, int]) -> dict[Place, int]:
        """From where an earlier scan ended to the ends of now."""
        ends = self._log.ends(reached)
        return self._scan(what, {place: Span(offset, ends[place]) for place, offset in reached.items()}, 0, None)

    def _scan(self, what: str, spans: dict[Place, Span], since_ms: int, until: list[Message] | None) -> dict[Place, int]:
        total = sum(max(span.end - span.start, 0) for span in spans.values())
        if not total:
            return {place: span.start for place, span in spans.items()}
        before = self._seen

        def see(message: Message) -> bool:
            self._seen += 1
            if self._seen % STEP == 0:
                self._progress(f"{what}: {self._seen - before:,} of {total:,} records")
            self._take(message)
            return bool(until)

        reached = self._log.scan(spans, self._deadline, see)
        complete = bool(until) or all(reached[place] >= span.end for place, span in spans.items())
        since = moment(since_ms) if since_ms > 0 else None
        self.searched.append(Searched(what, len(spans), self._seen - before, since, complete))
        return reached

    def _take(self, message: Message) -> None:
        topic, value = message.topic() or "", message.value()
        if topic == REJECTED:
            reject = read_reject(headers_of(message))
            if reject is not None and (reject.event_id in self._text or message.key() == self._id):
                self._of(reject.event_type).rejects.append((message, reject))
        elif topic == PARKED:
            if message.key() == self._id:
                self._of(parked_type(message.headers())).parked.append(message)
        elif value is not None and value[ID_START:ID_END] == self._id and value[:1] == b"\0":
            found = self._of(event_type_of(topic))
            if topic != clean_topic(event_type_of(topic)):
                found.copies.append(message)
            elif stamp_of(headers_of(message)) is not None:
                found.kept.append(message)

    def _of(self, name: str) -> Found:
        return self.found.setdefault(name, Found([], [], [], []))


def made_at(event_id: UUID) -> int | None:
    """When an id was made, in ms since 1970; None when it does not say (only version 7 does, and only of a time that can be)."""
    made = event_id.int >> 80
    return made if event_id.version == 7 and 0 < made < (time.time() + 10 * 365 * 86_400) * 1000 else None
