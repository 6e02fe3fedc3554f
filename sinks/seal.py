"""The seal: an hour that every partition has closed is decided about once, then presented; both can be done by anyone, any number of times.

Hours of a type are sealed in order, empty ones too. A presented hour is never touched again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import IO, Any, NamedTuple

import msgspec
import structlog

from hourmark.crashpoints import crashpoint
from hourmark.errors import ChainConflict, InvariantBroken, Unavailable
from hourmark.hours import Hours, parse_label
from hourmark.topics import Partition

from . import layout, telemetry
from .arrow import HourSchema, Shape
from .books import Books
from .catalogue import Catalogue
from .commits import CommitChain
from .flush import Shapes
from .manifest import FileRef, Manifest, Output, Plan, SchemaRef, SealedHour, decode, digest, encode
from .outbox import Outbox
from .parts import merge_sorted, read_pieces, read_table, write_sorted
from .plan import Circumstances, make_plan
from .store import Store

log = structlog.get_logger()

LOOK_EVERY_S = 0.25
LOOK_AT_MOST_S = 2.0
AT_ONCE_ROWS = 20_000  # an hour of so many rows is sorted in memory: quicker, and the same bytes


class Decision(NamedTuple):
    plan: Plan
    digest: str


class Publisher:
    """Makes a decided hour visible. Two publishers of one plan make the same files; the second one changes nothing."""

    def __init__(self, store: Store, shapes: Shapes) -> None:
        self._store, self._shapes = store, shapes

    def publish(self, decision: Decision) -> bytes:
        """Present the hour unless it is presented; returns the manifest that stands there. Raises Unavailable, ChainConflict."""
        plan = decision.plan
        folder = layout.hour_folder(plan.type, parse_label(plan.hour))
        if self._store.read(f"{folder}/{layout.SUCCESS}") is None:
            schema = HourSchema(self._shapes_of(plan))
            publication = self._store.publication(folder)
            files = []
            for output in plan.outputs:
                part = output.parts[0].path if output.copy else ""
                stored = publication.copy(part, output.name) if part else publication.write(output.name, self._merging(output, schema))
                files.append(FileRef(name=output.name, bytes=stored.bytes, rows=output.rows, sha256=stored.sha256))
                crashpoint("sink.file_published")
            manifest = encode(manifest_of(decision, files))
            if publication.finish([(layout.MANIFEST, manifest), (layout.SUCCESS, b"")]):
                return manifest
        return self._verified(folder, decision)

    def _verified(self, folder: str, decision: Decision) -> bytes:
        """Someone has presented this hour: by the same decision, or something is very wrong."""
        data = self._store.read(f"{folder}/{layout.MANIFEST}")
        found = None
        if data is not None:
            try:
                found = decode(Manifest, data).plan
            except msgspec.DecodeError:
                found = "an unreadable manifest"
        if data is None or found != decision.digest:
            raise ChainConflict(f"{folder} is there, but was made from {found}, not from {decision.digest}", folder=folder)
        return data

    def _shapes_of(self, plan: Plan) -> list[Shape]:
        return [_must(self._shapes.get(schema_id, plan.type), schema_id) for schema_id in plan.schema_ids]

    def _merging(self, output: Output, schema: HourSchema) -> Callable[[IO[bytes]], None]:
        def fill(file: IO[bytes]) -> None:
            with ExitStack() as stack:
                sources = [(stack.enter_context(closing(self._store.open(part.path))), part.schema_id) for part in output.parts]
                if output.rows <= AT_ONCE_ROWS:
                    rows = write_sorted([schema.conform(read_table(source), which) for source, which in sources], schema.schema, file)
                else:
                    lanes = [_conformed(read_pieces(source, len(sources)), schema, which) for source, which in sources]
                    rows = merge_sorted(lanes, schema.schema, file)
            if rows != output.rows:
                raise InvariantBroken(f"{output.name} would hold {rows} rows, its plan says {output.rows}")

        return fill


def _conformed(tables: Iterator[Any], schema: HourSchema, schema_id: int) -> Iterator[Any]:
    return (schema.conform(table, schema_id) for table in tables)


def manifest_of(decision: Decision, files: list[FileRef]) -> Manifest:
    plan = decision.plan
    return Manifest(
        format_version=plan.format_version,
        type=plan.type,
        hour=plan.hour,
        revision=plan.revision,
        complete=plan.complete,
        sealed_at=plan.sealed_at,
        hour_ends_at=plan.hour_ends_at,
        schema=SchemaRef(id=plan.schema_ids[0], fingerprint=plan.fingerprint),
        partitions=plan.partitions,
        files=files,
        totals=plan.totals,
        audit=plan.audit,
        writer=plan.writer,
        plan=decision.digest,
    )


def _must(shape: Shape | None, schema_id: int) -> Shape:
    if shape is None:
        raise InvariantBroken(f"schema {schema_id} is planned for, and unknown")
    return shape


class _Line:
    """Where one event type stands: the newest sealed hour and the books of its partitions since."""

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        self.sealed: int | None = None
        self.books: dict[int, Books] = {}
        self.awake = True
        self.look_at = 0.0
        self.pause = LOOK_EVERY_S
        self.trouble = ""
        self.held = False

    def next_hour(self) -> int | None:
        """The hour to seal next. None: some partition has no barrier yet, so nobody can tell where the type begins."""
        if self.sealed is not None:
            return self.sealed + 1
        floors = [book.floor for book in self.books.values() if book.closed is not None and book.floor is not None]
        return min(floors) if floors and len(floors) == len(self.books) else None

    def ready_hour(self) -> int | None:
        """The next hour, if all partitions have closed it."""
        hour = self.next_hour()
        if hour is None or any(book.closed is None or book.closed < hour for book in self.books.values()):
            return None
        return hour


class Sealer:
    """Seals the hours of the types whose partition 0 this worker owns. `wake` a type whose chain has closed an hour; call `step` often."""

    def __init__(self, store: Store, catalogue: Catalogue, shapes: Shapes, outbox: Outbox, clock: Hours, now: Callable[[], float]) -> None:
        self._store, self._catalogue, self._shapes, self._outbox = store, catalogue, shapes, outbox
        self._clock, self._now = clock, now
        self._chain, self._publisher = CommitChain(store), Publisher(store, shapes)
        self._lines: dict[str, _Line] = {}

    def adopt(self, event_type: str) -> None:
        """This worker owns partition 0 now. The first step finishes what a worker before may have left undone."""
        self._lines[event_type] = _Line(event_type)

    def drop(self, event_type: str) -> None:
        self._lines.pop(event_type, None)

    def wake(self, event_type: str) -> None:
        line = self._lines.get(event_type)
        if line is not None:
            line.awake, line.look_at, line.pause = True, 0.0, LOOK_EVERY_S

    def step(self, until: float) -> int:
        """Seal what can be sealed, until `until` (monotonic seconds) is past. Returns how many hours were presented."""
        done = 0
        for line in list(self._lines.values()):
            moment = time.monotonic()
            if moment >= until:
                break
            if not line.awake or moment < line.look_at:
                continue
            try:
                done += self._advance(line, until)
                line.trouble = ""
            except Unavailable as exc:
                line.look_at = time.monotonic() + exc.retry_after
                if line.trouble != exc.code:
                    line.trouble = exc.code
                    log.warning("sealing is on hold", event_type=line.event_type, code=exc.code, error=exc.message)
        return done

    def _advance(self, line: _Line, until: float) -> int:
        if not line.books and not self._load(line):
            line.look_at = time.monotonic() + LOOK_AT_MOST_S
            return 0
        for book in line.books.values():
            self._read(line.event_type, book)
        done = 0
        while (hour := line.ready_hour()) is not None:
            if time.monotonic() >= until:
                return done
            if self._has_grown(line):
                continue
            if not self._seal(line, hour):
                break
            done += 1
        self._rest(line)
        return done

    def _rest(self, line: _Line) -> None:
        """Sleep until woken when no partition is ahead of the others; else look again, ever less often."""
        newest = max((book.closed for book in line.books.values() if book.closed is not None), default=None)
        open_hours = 0 if newest is None else newest - (line.sealed if line.sealed is not None else (line.next_hour() or newest) - 1)
        telemetry.OPEN_HOURS.labels(line.event_type).set(max(open_hours, 0))
        line.awake = line.next_hour() is None or open_hours > 0
        line.look_at = time.monotonic() + line.pause
        line.pause = min(line.pause * 1.5, LOOK_AT_MOST_S)

    def _load(self, line: _Line) -> bool:
        """Read where the type stands; finish and announce its newest decided hour. False: the catalogue does not know the type yet."""
        declared = self._catalogue.snapshot.types.get(line.event_type)
        if declared is None:
            return False
        names = self._store.names(layout.seals(line.event_type))
        decision = None
        if names:
            line.sealed = parse_label(names[-1].removesuffix(".json"))
            decision = self._decided(line.event_type, line.sealed)
            self._present(line, line.sealed, decision)
        resume = decision.plan.resume if decision else {}
        count = max(declared.partitions, len(resume))  # a stale catalogue must not forget a partition that was there
        line.books = {p: Books(p, line.sealed, resume.get(p)) for p in range(count)}
        return True

    def _has_grown(self, line: _Line) -> bool:
        """Open books for partitions added since. Asked after every known partition has closed the hour, which is after its end: a record of
        the hour on a partition added later was appended before, and clean topics grow before raw ones. So none is overlooked, whatever
        the catalogue of this worker knows already.
        """
        added = range(len(line.books), self._outbox.width(line.event_type))
        for partition in added:
            line.books[partition] = Books(partition, line.sealed)
            self._read(line.event_type, line.books[partition])
        return bool(added)

    def _read(self, event_type: str, book: Books) -> None:
        while (found := self._chain.entry(Partition(event_type, book.partition), book.next)) is not None:
            book.absorb(found[0])

    def _decided(self, event_type: str, hour: int) -> Decision:
        path = layout.seal(event_type, hour)
        data = self._store.read(path)
        try:
            assert data is not None  # it was listed or refused to be created, and seals are never taken away
            return Decision(decode(Plan, data), digest(data))
        except msgspec.DecodeError as exc:
            raise ChainConflict(f"{path} is no plan: {exc}", path=path) from exc

    def _seal(self, line: _Line, hour: int) -> bool:
        """Decide, or find what another has decided, and present. False when the audit holds the hour back."""
        plan = self._plan(line, hour)
        declared = self._catalogue.snapshot.types.get(line.event_type)
        if not plan.complete and declared is not None and declared.audit == "hold":
            if not line.held:
                log.error(
                    "hour is held back: its audit does not balance", event_type=line.event_type, hour=plan.hour, faults=plan.audit.faults
                )
            line.held = True
            return False
        line.held = False
        data = encode(plan)
        mine = self._store.create(layout.seal(line.event_type, hour), data)
        crashpoint("sink.decided")
        decision = Decision(plan, digest(data)) if mine else self._decided(line.event_type, hour)
        self._present(line, hour, decision)
        line.sealed = hour
        for book in line.books.values():
            book.forget(hour)
        return True

    def _plan(self, line: _Line, hour: int) -> Plan:
        used = {part.schema_id for book in line.books.values() for part in book.parts.get(hour, ())}
        declared = self._catalogue.snapshot.types.get(line.event_type)
        newest = self._catalogue.snapshot.schemas.get(declared.schema_id) if declared else None
        if declared is not None:
            used.add(declared.schema_id)
        shapes = [_must(self._shapes.get(schema_id, line.event_type), schema_id) for schema_id in used]
        shapes.sort(key=lambda shape: (shape.version, shape.schema_id), reverse=True)
        fingerprint = newest.fingerprint if newest is not None and newest.schema_id == shapes[0].schema_id else ""
        books = [line.books[partition] for partition in sorted(line.books)]
        return make_plan(line.event_type, hour, books, Circumstances(shapes, fingerprint, self._now() * 1000, self._clock.end_ms(hour)))

    def _present(self, line: _Line, hour: int, decision: Decision) -> None:
        plan = decision.plan
        manifest = self._publisher.publish(decision)
        crashpoint("sink.presented")
        self._outbox.announce(
            SealedHour(type=plan.type, hour=plan.hour, manifest_sha256=digest(manifest), rows=plan.totals.rows, complete=plan.complete)
        )
        crashpoint("sink.announced")
        ends = self._clock.end_ms(hour) / 1000
        telemetry.WATERMARK.labels(line.event_type).set(ends)
        if line.books:  # not when an hour of an earlier life is announced again
            telemetry.SEALED.labels(line.event_type).inc()
            telemetry.SEAL_DELAY.labels(line.event_type).observe(max(0.0, self._now() - ends))
            log.info("hour sealed", event_type=plan.type, hour=plan.hour, rows=plan.totals.rows, complete=plan.complete)
            if not plan.complete:
                telemetry.INCOMPLETE.labels(line.event_type).inc()
                log.error("the audit of a sealed hour does not balance", event_type=plan.type, hour=plan.hour, faults=plan.audit.faults)
