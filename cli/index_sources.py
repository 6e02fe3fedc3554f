"""Where the claims of a lost id index still are: in columns of the lake, and in the clean topics behind what the lake has written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from dedup.rebuild import Piece, Step
from hourmark.errors import BrokerUnavailable
from hourmark.event import ID_END, ID_START, STAMP, STAMP_HEADER, Coordinates, Stamp, unpack_stamp
from hourmark.hours import Hours, label
from hourmark.kafka import partition_counts, tail_config, translate
from hourmark.settings import PlatformSettings
from hourmark.topics import clean_topic, event_type_of, is_event_type
from sinks.ids import Coverage, Origins, coverage, read_ids, sealed_files
from sinks.store import Store
from sinks.watermarks import types

CONSUME: Final = 5_000
SILENCE_S: Final = 30.0
Where = tuple[str, int]


class Counter:
    """What is being read, and how far: `done` of `total`, in `unit`."""

    def __init__(self) -> None:
        self.what, self.unit, self.done, self.total = "", "", 0, 0
        self.gone: list[str] = []

    def start(self, what: str, unit: str, total: int) -> None:
        self.what, self.unit, self.done, self.total = what, unit, 0, total


class Window(NamedTuple):
    """What the index answers for: hours from `oldest` on, of event types that match one of the shell patterns."""

    hours: Hours
    oldest: int
    patterns: Sequence[str]

    def has(self, event_type: str) -> bool:
        return is_event_type(event_type) and any(fnmatchcase(event_type, pattern) for pattern in self.patterns)


class LakeSource:
    """Sealed hours of all types, oldest first, then the parts of open hours."""

    def __init__(self, store: Store, window: Window, reached: Mapping[str, int], counter: Counter) -> None:
        self._store, self._hours, self._counter = store, window.hours, counter
        self.covered: dict[str, Coverage] = {name: coverage(store, name) for name in types(store) if window.has(name)}
        self._sealed = sorted(
            (hour, name)
            for name, found in self.covered.items()
            for hour in found.sealed
            if hour > max(reached.get(name, -1), window.oldest - 1)
        )

    def pieces(self) -> Iterator[Piece]:
        """Raises LakeUnavailable. Hours whose files are gone are named in the counter."""
        self._counter.start("sealed hours", "hours", len(self._sealed))
        for hour, name in self._sealed:
            files = sealed_files(self._store, name, hour)
            if files.gone:
                self._counter.gone.append(f"{name} {label(hour)}")
            for path in files.paths:
                yield from self._read(name, path, files.sources)
            self._counter.done += 1
            yield Piece(name, 0, b"", b"", (Step(name, hour),))
        self._counter.start("parts of open hours", "parts", sum(len(found.unsealed.paths) for found in self.covered.values()))
        for name, found in self.covered.items():
            for path in found.unsealed.paths:
                yield from self._read(name, path, found.unsealed.sources)
                self._counter.done += 1

    def _read(self, name: str, path: str, sources: Mapping[int, int]) -> Iterator[Piece]:
        for rows in read_ids(self._store, path, Origins(sources, self.covered[name].seams), self._hours):
            yield Piece(name, rows.append_ms, rows.ids, rows.owners)


class Span(NamedTuple):
    """Offsets `next` … `end` - 1 of a clean partition are still to be read."""

    next: int
    end: int


class CleanSource:
    """The clean topics of all types, from where the lake's commit chains end. Call `look`, then `pieces`, until nothing is left."""

    def __init__(self, settings: PlatformSettings, window: Window, reached: Mapping[str, int], counter: Counter) -> None:
        self._consumer = Consumer(tail_config(settings, group_id="hourmark-rebuild", queued_max_messages_kbytes=32_768))
        self._window, self._counter = window, counter
        self._next: dict[Where, int] = {}
        self._reached = reached
        self.lost: list[str] = []

    def look(self, covered: Mapping[str, Coverage]) -> dict[Where, Span]:
        """What is to be read now. `lost` names the offsets that neither the lake nor the topic has. Raises BrokerUnavailable."""
        try:
            named = [topic for topic in self._consumer.list_topics(timeout=10).topics if topic.startswith("clean.")]
            counts = partition_counts(self._consumer, [topic for topic in named if self._window.has(event_type_of(topic))])
            found: dict[Where, Span] = {}
            for topic, count in counts.items():
                name = event_type_of(topic)
                tips = covered[name].tips if name in covered else {}
                for number in range(count):
                    begin, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                    start = self._next.get((name, number), max(tips.get(number, 0), self._reached.get(f"{name}/{number}", 0)))
                    if start < begin:
                        self.lost.append(f"{topic}[{number}] {start}..{begin - 1}")
                        start = begin
                    self._next[name, number] = start
                    if start < end:
                        found[name, number] = Span(start, end)
        except KafkaException as exc:
            raise translate(exc, "asking for the ends of the clean topics") from exc
        return found

    def pieces(self, spans: Mapping[Where, Span]) -> Iterator[Piece]:
        """The events of these spans, in order within a partition. Raises BrokerUnavailable."""
        self._counter.start("clean topics", "records", sum(span.end - span.next for span in spans.values()))
        left = dict(spans)
        self._consumer.assign([TopicPartition(clean_topic(name), number, span.next) for (name, number), span in left.items()])
        heard = time.monotonic()
        while left:
            messages = self._consumer.consume(CONSUME, 1.0)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise BrokerUnavailable(f"nothing came of {len(left)} clean partitions for {SILENCE_S:.0f} s")
            yield from self._pieces(messages, left)
        self._consumer.unassign()

    def _pieces(self, messages: list[Message], left: dict[Where, Span]) -> Iterator[Piece]:
        rows: dict[tuple[str, int], tuple[list[bytes], list[bytes], int]] = {}
        steps: dict[str, int] = {}
        for message in messages:
            error, topic, number, offset = message.error(), message.topic(), message.partition(), message.offset()
            if error is not None:
                raise translate(error, "reading the clean topics")
            assert topic is not None and number is not None and offset is not None  # noqa: PT018  a record always has them
            where = event_type_of(topic), number
            if where not in left:
                continue
            self._add(message, where[0], rows)
            self._next[where] = steps[f"{where[0]}/{number}"] = offset + 1
            self._counter.done += 1
            if offset + 1 >= left[where].end:
                del left[where]
        for (name, _), (ids, owners, newest) in rows.items():
            yield Piece(name, newest, b"".join(ids), b"".join(owners))
        yield Piece("", 0, b"", b"", tuple(Step(*step) for step in steps.items()))

    def _add(self, message: Message, name: str, rows: dict[tuple[str, int], tuple[list[bytes], list[bytes], int]]) -> None:
        value, stamp = message.value(), _stamp(message)
        if value is None or len(value) < ID_END or stamp is None:
            return  # a barrier, or a record of somebody else's, which the lake does not take either
        ids, owners, newest = rows.get((name, hour := self._window.hours.of(stamp.append_ms)), ([], [], 0))
        ids.append(value[ID_START:ID_END])
        owners.append(Coordinates(stamp.source, stamp.partition, stamp.offset).pack())
        rows[name, hour] = ids, owners, max(newest, stamp.append_ms)

    def close(self) -> None:
        self._consumer.close()


def _stamp(message: Message) -> Stamp | None:
    found: Any = message.headers() or ()
    for name, header in found:
        if name == STAMP_HEADER and isinstance(header, bytes) and len(header) == STAMP.size:
            return unpack_stamp(header)
    return None
