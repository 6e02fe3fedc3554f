"""The seal: an hour that every partition has closed is decided about once, then presented; both can be done by anyone, any number of times.

Hours of a type are sealed in order, empty ones too. A presented hour is never touched again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from hourmark.crashpoints import crashpoint
from hourmark.errors import ChainConflict, RegistryUnavailable, Unavailable
from hourmark.hours import Hours
from hourmark.topics import Partition, Tier

from . import layout, telemetry
from .books import Books
from .catalogue import Catalogue
from .commits import CommitChain
from .flush import Shapes
from .line import LOOK_AT_MOST_S, LOOK_EVERY_S, Line
from .manifest import Manifest, Plan, SealedHour, decode, digest, encode
from .outbox import Outbox
from .plan import Circumstances, make_plan
from .publish import Publisher
from .seals import newest_seal
from .shown import Shown
from .store import Store
from .watermarks import decided

log = structlog.get_logger()


class Sealer:
    """Seals the hours of the types whose partition 0 this worker owns. `wake` a type whose chain has closed an hour; call `step` often."""

    def __init__(self, store: Store, catalogue: Catalogue, shapes: Shapes, outbox: Outbox, clock: Hours, now: Callable[[], float]) -> None:
        self._store, self._catalogue, self._outbox = store, catalogue, outbox
        self._clock, self._now = clock, now
        self._chain, self._publisher = CommitChain(store), Publisher(store, shapes, catalogue)
        self._lines: dict[str, Line] = {}
        self._shown = Shown(clock)

    def adopt(self, event_type: str) -> None:
        """This worker owns partition 0 now. The first step finishes what a worker before may have left undone."""
        self._lines[event_type] = Line(event_type)

    @property
    def types(self) -> list[str]:
        """The types whose partition 0 this worker owns."""
        return list(self._lines)

    def drop(self, event_type: str) -> None:
        self._lines.pop(event_type, None)
        self._shown.forget(event_type)

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
            if moment < line.look_at or not (line.awake or self._overdue(line)):
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

    def _overdue(self, line: Line) -> bool:
        """The next hour is over, and its barriers should have been here."""
        hour = line.next_hour()
        return hour is not None and self._clock.end_ms(hour) + 2000 * self._clock.margin_s < self._now() * 1000

    def _advance(self, line: Line, until: float) -> int:
        if (not line.books or self._overtaken(line)) and not self._load(line):
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
        line.rest(time.monotonic())
        self._shown.standing(line, self._tier(line.event_type), overdue=self._overdue(line))
        return done

    def _tier(self, event_type: str) -> Tier:
        declared = self._catalogue.snapshot.types.get(event_type)
        return declared.tier if declared is not None else "standard"

    def _overtaken(self, line: Line) -> bool:
        """Another has sealed the next hour: a worker that took over, or someone by force. What we have read may be out of date."""
        hour = line.next_hour()
        if hour is None:
            return line.sealed is None and bool(self._store.names(layout.seals(line.event_type)))
        return self._store.read(layout.seal(line.event_type, hour)) is not None

    def _load(self, line: Line) -> bool:
        """Read where the type stands; finish and announce its newest decided hour. False: the catalogue does not know the type yet."""
        declared = self._catalogue.snapshot.types.get(line.event_type)
        if declared is None:
            return False
        line.books = {}
        hour, plan = self._newest(line), None
        if hour is not None:
            plan = decided(self._store, line.event_type, hour)
            self._present(line, hour, plan)
        line.follow(-1 if hour is None else hour, plan, declared.partitions)
        return True

    def _newest(self, line: Line) -> int | None:
        return newest_seal(self._store, line.event_type, self._clock.of(int(self._now() * 1000)))

    def _has_grown(self, line: Line) -> bool:
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

    def _seal(self, line: Line, hour: int) -> bool:
        """Decide, or find what another has decided, and present. False when the audit holds the hour back."""
        plan = self._plan(line, hour)
        declared = self._catalogue.snapshot.types.get(line.event_type)
        if not plan.complete and declared is not None and declared.audit == "hold":
            if not line.held:
                told, faults = "hour is held back: its audit does not balance", plan.audit.faults
                log.error(told, code="audit_held", event_type=line.event_type, hour=plan.hour, faults=faults)
            line.held = True
            return False
        line.held = False
        if line.sealed is not None and self._store.read(before := layout.seal(line.event_type, line.sealed)) is None:
            # Sealing this hour would leave a hole; whoever reads the lake anew goes on from what it has.
            raise ChainConflict(f"{before} has gone under a running worker: the lake was put back from an older moment", path=before)
        mine = self._store.create(layout.seal(line.event_type, hour), encode(plan))
        crashpoint("sink.decided")
        if mine:
            self._present(line, hour, plan)
            line.done(hour, plan)
        else:  # what was read here may be of a past that is gone (decision 0010): go on from what has been decided
            plan = decided(self._store, line.event_type, hour)
            self._present(line, hour, plan)
            line.follow(hour, plan, len(line.books))
            for book in line.books.values():
                self._read(line.event_type, book)
        return True

    def _plan(self, line: Line, hour: int) -> Plan:
        newest = line.schema_id or self._first_schema(line.event_type)
        return make_plan(line.event_type, hour, line.in_order(), Circumstances(newest, self._now() * 1000, self._clock.end_ms(hour)))

    def _first_schema(self, event_type: str) -> int:
        """Of the type's first declaration: what an hour looks like before the first event came. Raises RegistryUnavailable: ask again."""
        known = [schema.schema_id for schema in self._catalogue.snapshot.schemas.values() if schema.event == event_type]
        if not known:
            raise RegistryUnavailable(f"no schema of {event_type} is in the catalogue yet", retry_after=1.0)
        return min(known)

    def _present(self, line: Line, hour: int, plan: Plan) -> None:
        manifest = self._publisher.publish(plan)
        crashpoint("sink.presented")
        self._outbox.announce(
            SealedHour(
                type=plan.type,
                hour=plan.hour,
                manifest_sha256=digest(manifest),
                rows=plan.totals.rows,
                complete=plan.complete,
                content_sha256=decode(Manifest, manifest).content,
            )
        )
        crashpoint("sink.announced")
        ends = self._clock.end_ms(hour) / 1000
        self._shown.presented(plan, hour, self._tier(line.event_type))
        if plan.forced is not None:
            why = plan.forced
            log.warning("hour sealed by force", event_type=plan.type, hour=plan.hour, missing=why.missing, reason=why.reason)
        by_hand = plan.forced is not None and line.sealed is not None and hour > line.sealed  # decided elsewhere, presented by us
        if line.books or by_hand:  # not when an hour of an earlier life is announced again
            self._count(line.event_type, plan, max(0.0, self._now() - ends))
            self._tell_sealed(plan, digest(manifest))

    def _count(self, event_type: str, plan: Plan, delay: float) -> None:
        telemetry.SEALED.labels(event_type).inc()
        telemetry.SEALED_ROWS.labels(event_type).inc(plan.totals.rows)
        telemetry.SEALED_FILES.labels(event_type).inc(len(plan.outputs))
        telemetry.SEAL_DELAY.labels(event_type).observe(delay)
        late = {part.path for part in plan.parts if part.late}
        if late:
            telemetry.LATE_PARTS.labels(event_type).inc(len(late))
        telemetry.INCOMPLETE.labels(event_type).inc(int(not plan.complete))  # shown as 0 too: a rise from nothing would not be seen
        telemetry.FAULTS.labels(event_type).inc(len(plan.audit.faults))

    def _tell_sealed(self, plan: Plan, manifest: str) -> None:
        hour = {"event_type": plan.type, "hour": plan.hour, "manifest": manifest}
        log.info("hour sealed", rows=plan.totals.rows, complete=plan.complete, **hour)
        if not plan.complete:
            log.error("the audit of a sealed hour does not balance", code="audit_unequal", faults=plan.audit.faults, **hour)
