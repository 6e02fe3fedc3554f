"""The rows of hours that are not sealed yet, as they will land: staged parts, and the clean topic behind the commit chain's end, decoded
by the sink's own code. Reads only; what a sealer or a sink does meanwhile is noticed and never disturbed.

One moment of the commit chain decides: what its entries name comes from parts, every later offset from Kafka, so no row comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Message

from hourmark.errors import LakeUnavailable, PlatformError, RegistryUnavailable, Unavailable
from hourmark.topics import Partition, clean_topic
from sinks import layout
from sinks.arrow import HourSchema, Shape
from sinks.batches import UNFRAMED, HourlyBatches
from sinks.commits import CommitChain, Tip
from sinks.flush import Shapes
from sinks.intake import Intake
from sinks.line import Line
from sinks.parts import read_pieces
from sinks.store import Store
from sinks.watermarks import decided, line_of, sealed_hours

from ..sealed import Lake, Opened
from .fate import hour_of
from .log import Place, Span
from .spill import Part, Spill

TAIL_BYTES: Final = 512 << 20  # of events that are read from Kafka at most, a type
TAIL_S: Final = 60.0
HELD_BYTES: Final = 32 << 20
TRIES: Final = 5


class Reader(Protocol):
    """What is needed of a Log."""

    def counts(self, topics: Iterable[str], timeout: float = 10.0) -> dict[str, int]: ...
    def begins(self, places: Iterable[Place]) -> dict[Place, int]: ...
    def ends(self, places: Iterable[Place]) -> dict[Place, int]: ...
    def polls(self, spans: Mapping[Place, Span], deadline: float) -> Iterator[list[Message]]: ...


class Registered(NamedTuple):
    """`declared`: schema id of a type's declaration, which its first hour has at least; 0 when nobody says it."""

    shapes: Shapes
    declared: Callable[[str], int]


class _Moved(Exception):
    """The chain's entries were moved into a checkpoint while they were read: look again."""


class _Standing(NamedTuple):
    line: Line
    tips: dict[int, Tip]
    parts: list[Part]
    final: list[str]


class Opener:
    """`folder`: where files may be made; the caller takes it away. `log` a text: why Kafka cannot be asked."""

    def __init__(self, store: Store, lake: Lake, log: Reader | str, schemas: Registered, folder: Path) -> None:
        self._store, self._lake, self._log, self._schemas, self._folder = store, lake, log, schemas, folder
        self._known: dict[int, Shape | None] = {}
        self._made = 0

    def open(self, event_type: str) -> Opened:
        """Raises LakeUnavailable, Unreachable. What else is away costs open rows, and a note says so."""
        notes: list[str] = []
        partitions = self._partitions(event_type, notes)
        stands = self._standing(event_type, partitions)
        parts = list(stands.parts)
        try:
            if partitions:
                parts += self._tail(event_type, stands, notes)
            files = self._conformed(event_type, stands.line, parts) if parts or stands.final else self._nothing(event_type)
        except RegistryUnavailable as exc:
            return Opened(stands.final, [], [*notes, f"{event_type}: open rows are left out: {exc.message}"])
        return Opened(stands.final, files, notes)

    def _partitions(self, event_type: str, notes: list[str]) -> int:
        reason = self._log
        if not isinstance(reason, str):
            try:
                return reason.counts([clean_topic(event_type)]).get(clean_topic(event_type), 0)
            except Unavailable as exc:
                reason = exc.message
        notes.append(f"{event_type}: rows that only Kafka has are left out: {reason}")
        return 0

    # -- the lake

    def _standing(self, event_type: str, partitions: int) -> _Standing:
        for _ in range(TRIES):
            try:
                return self._look(event_type, partitions)
            except _Moved:
                continue
        raise LakeUnavailable(f"the commit chain of {event_type} moves faster than it can be read")

    def _look(self, event_type: str, partitions: int) -> _Standing:
        store, chain, line = self._store, CommitChain(self._store), Line(event_type)
        known = sealed_hours(store, event_type)
        newest = known[-1] if known else -1
        plan = decided(store, event_type, newest) if known else None
        in_lake = [int(name.removeprefix("p")) + 1 for name in store.folders(f"{layout.COMMITS}/{event_type}")]
        line.follow(newest, plan, max([partitions, *in_lake]))
        tips = {number: self._walk(chain, line, Partition(event_type, number)) for number in line.books}
        listed = [(hour_of(name), name) for name in self._lake.sealed_files(event_type)]
        parts = [
            Part(part.path, part.schema_id, part.hour != hour)
            for book in line.in_order()
            for hour, held in book.parts.items()
            for part in held
        ]
        if plan is not None and newest not in {hour for hour, _ in listed}:  # decided, and being presented
            parts += [Part(part.path, part.schema_id, part.late) for part in plan.parts]
        bare = not known and not in_lake  # hours without their bookkeeping: somebody has copied them here
        return _Standing(line, tips, parts, [name for hour, name in listed if bare or hour <= newest])

    def _walk(self, chain: CommitChain, line: Line, partition: Partition) -> Tip:
        """The end of one chain, and its books up to there."""
        tip, book = chain.tip(partition), line.books[partition.number]
        while book.next < tip.next:
            found = chain.entry(partition, book.next)
            if found is None:
                raise _Moved
            book.absorb(found[0])
        if book.next != tip.next:
            raise _Moved
        return tip

    # -- Kafka

    def _tail(self, event_type: str, stands: _Standing, notes: list[str]) -> list[Part]:
        """The clean records that no entry names, up to the ends of now, as files of ours."""
        assert not isinstance(self._log, str)
        topic = clean_topic(event_type)
        places = [(topic, number) for number in stands.tips]
        spill = Spill(self.shape, self.new_file, stands.line.sealed)
        try:
            places = [place for place in places if place[1] < self._log.counts([topic]).get(topic, 0)]
            ends, begins = self._log.ends(places), self._log.begins(places)
            spans = {place: Span(max(stands.tips[place[1]].offset, begins[place]), ends[place]) for place in places}
            lost = [place[1] for place in places if begins[place] > stands.tips[place[1]].offset]
            if lost:
                notes.append(f"{event_type}: Kafka has lost records of partitions {lost} that no sink has written")
                spans = {place: span for place, span in spans.items() if place[1] not in lost}
            whole = self._read(event_type, spans, stands, spill)
        except Unavailable as exc:
            if isinstance(exc, RegistryUnavailable):
                raise
            notes.append(f"{event_type}: rows that only Kafka has are left out: {exc.message}")
            return []
        finally:
            parts = spill.close()
        if not whole:
            notes.append(f"{event_type}: more waits in Kafka than a preview reads; the newest rows are left out")
        if spill.refused:
            notes.append(f"{event_type}: {spill.refused:,} records cannot be decoded and will go to `rejected`")
        return parts

    def _read(self, event_type: str, spans: dict[tuple[str, int], Span], stands: _Standing, spill: Spill) -> bool:
        """False: there was too much of it."""
        assert not isinstance(self._log, str)
        batches = HourlyBatches(1 << 62, 1 << 62)
        intake, deadline, spilled = Intake(batches), time.monotonic() + TAIL_S, 0
        for _, number in spans:
            batches.open(Partition(event_type, number), stands.tips[number])
        for messages in self._log.polls(spans, deadline):
            if intake.take(messages):
                raise LakeUnavailable(f"a hole in {clean_topic(event_type)}")
            if batches.bytes > HELD_BYTES:
                spilled += batches.bytes
                spill.take(batches)
                if spilled > TAIL_BYTES:
                    return False
        reached = {buffer.partition.number: buffer.next for buffer in batches}
        spill.take(batches)
        return all(reached[number] >= span.end for (_, number), span in spans.items())

    # -- one schema for all

    def shape(self, schema_id: int, event_type: str) -> Shape | None:
        """Raises RegistryUnavailable."""
        if schema_id not in self._known:
            self._known[schema_id] = None if schema_id == UNFRAMED else self._schemas.shapes.get(schema_id, event_type)
        return self._known[schema_id]

    def new_file(self) -> Path:
        self._made += 1
        return self._folder / f"open-{self._made:05d}.parquet"

    def _conformed(self, event_type: str, line: Line, parts: list[Part]) -> list[str]:
        """The files as DuckDB names them, all of the columns and types that the next sealed hour will have."""
        if not parts:
            return []
        ids = sorted({part.schema_id for part in parts} | {line.schema_id or self._schemas.declared(event_type)} - {0}, reverse=True)
        shapes = [shape for schema_id in ids if (shape := self.shape(schema_id, event_type)) is not None]
        hour = HourSchema(shapes)
        as_is = {shape.schema_id for shape in shapes if pa.schema(list(shape.stored.items())).equals(hour.schema)}
        plain = [part for part in parts if part.schema_id in as_is and not part.late]
        named = self._lake.staged_files(event_type, [part.path for part in plain if part.staged])
        named += [part.path for part in plain if not part.staged]
        return named + [self._rewritten(part, hour) for part in parts if part not in plain]

    def _nothing(self, event_type: str) -> list[str]:
        """A type without any row yet: a file of none, so that it can be asked for all the same."""
        declared = self._schemas.declared(event_type)
        shape = self.shape(declared, event_type) if declared else None
        if shape is None:
            return []
        path, schema = self.new_file(), HourSchema([shape]).schema
        with pq.ParquetWriter(path, schema) as out:
            out.write_table(schema.empty_table())
        return [str(path)]

    def _rewritten(self, part: Part, hour: HourSchema) -> str:
        """A part of an older schema, or of late rows, in the hour's own."""
        path = self.new_file()
        with pq.ParquetWriter(path, hour.schema, compression="lz4") as out:
            for table in self._pieces(part):
                rows = hour.conform(table, part.schema_id)
                if part.late:
                    rows = rows.set_column(rows.column_names.index("_skewed"), "_skewed", pa.repeat(pa.scalar(True), rows.num_rows))
                out.write_table(rows)
        return str(path)

    def _pieces(self, part: Part) -> Iterator[Any]:
        with closing(self._store.open(part.path) if part.staged else open(part.path, "rb")) as file:
            yield from read_pieces(file, 1)


def waiting_rows(store: Store, log: Reader, event_type: str) -> int:
    """About how many rows the open hours have: by the chain's own counts, and by the distance to the ends in Kafka, barriers included."""
    topic = clean_topic(event_type)
    try:
        count = log.counts([topic], timeout=2.0).get(topic, 0)
        ends = log.ends([(topic, number) for number in range(count)])
        books = line_of(store, event_type, count).in_order()
    except PlatformError:
        return 0
    written = sum(hour.written for book in books for hour in book.counts.values())
    return written + sum(max(ends.get((topic, book.partition), 0) - book.offset, 0) for book in books)
