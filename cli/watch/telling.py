"""One whole trace: searches Kafka and the lake for an id, and puts together what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from confluent_kafka import Message

from hourmark.errors import LakeUnavailable, PlatformError, Unavailable
from hourmark.event import Stamp

from ..addresses import Addresses
from ..catalogue import Catalogue
from ..failures import Unreachable, WrongInput
from ..masking import unquoted
from .decoding import Decoding, Sighting, appended, moment, of_reject, of_wire
from .fate import LakeView, Row, lake_view
from .following import headers_of, stamp_of
from .log import Log
from .parked import sender_of, settled, waiting_words
from .story import deduplicated, received, undecided, verdict, why_this_hour
from .tracing import BEFORE_MS, Found, Searched, Tracer, made_at


@dataclass
class Question:
    """What is asked. `seconds`: how long the search may take, Kafka and the lake each."""

    event_id: UUID
    event_type: str = ""
    since_ms: int | None = None
    seconds: float = 30.0


@dataclass
class Answer:
    """`stories`: one for each event type that has the id. `unknown`: what could not be asked."""

    stories: list[dict[str, Any]] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Trace:
    """Call `answer` once. Raises WrongInput for a type that nobody knows, Unreachable when neither Kafka nor the lake can be asked."""

    def __init__(self, at: Addresses, question: Question, progress: Callable[[str], None]) -> None:
        self._at, self._question, self._progress = at, question, progress
        self._lake: LakeView | None = lake_view(at)
        self._log = Log(at) if at.kafka else None
        self._catalogue = Catalogue(at.registry) if at.registry else None
        self._answer = Answer()

    def answer(self) -> Answer:
        if self._lake is None and self._log is None:
            raise Unreachable("neither Kafka nor the lake is known here", remedy="start a stack with `hourmark up`, or set HOURMARK_KAFKA")
        found = self._in_kafka()
        for name in sorted(found):
            self._answer.stories.append(self._story(name, found[name]))
        if not self._answer.stories:
            self._answer.stories += self._from_lake([self._question.event_type] if self._question.event_type else None)
        return self._answer

    def _in_kafka(self) -> dict[str, Found]:
        if self._log is None:
            self._answer.unknown.append("Kafka: its address is not known here")
            return {}
        tracer = Tracer(self._log, self._question.event_id, time.monotonic() + self._question.seconds, self._progress)
        try:
            types = self._log.event_types()
            asked = self._question.event_type
            if asked:
                if asked not in types:
                    self._refuse(asked, list(types))
                types = {name: count for name, count in types.items() if name == asked}
            tracer.search(types, self._question.since_ms)
        except Unavailable as exc:
            if self._lake is None:
                raise
            self._answer.unknown.append(f"Kafka: {exc.message}")
        self._answer.searched += tracer.searched
        return {name: found for name, found in tracer.found.items() if asked_for(name, self._question.event_type)}

    def _refuse(self, event_type: str, known: list[str]) -> None:
        """A type without topics may still be in the lake, or wait in `parked`."""
        from ..catalogue import unknown_type

        if self._lake is not None and event_type in self._lake.event_types():
            return
        words = waiting_words(self._at, event_type)
        if not words:
            raise unknown_type(event_type, known)

    def _story(self, name: str, found: Found) -> dict[str, Any]:
        decoding = Decoding(self._catalogue or Catalogue(self._at.registry))
        story: dict[str, Any] = {"type": name}
        copies = [of_wire(decoding, "received", copy, None, {}) for copy in found.copies]
        if copies:
            story["received"] = [received(copy) for copy in copies]
        stamps = [stamp for message in found.kept if (stamp := stamp_of(headers_of(message))) is not None]
        if stamps:
            kept = of_wire(decoding, "kept", found.kept[0], stamps[0], {})
            story["deduplicated"] = deduplicated(kept, stamps[0], copies)
            story["hour"] = self._hour(name, stamps[0], kept)
        elif copies:
            story |= self._unkept(name, copies)
        if found.rejects:
            story["rejected"] = [_refused(of_reject(*reject)) for reject in found.rejects]
        if found.parked:
            done = self._settled()
            story["parked"] = [_parked(message, done.get((name, message.partition() or 0), 0)) for message in found.parked]
            story["declared"] = self._declared(name)
        return {"verdict": verdict(story), **story}

    def _hour(self, name: str, stamp: Stamp, kept: Sighting) -> dict[str, Any] | None:
        if self._lake is None:
            self._answer.unknown.append("the lake: it is not known here, or does not answer")
            return None
        try:
            deadline = time.monotonic() + self._question.seconds
            hour = self._lake.fate(name, stamp, kept.facts["clean_offset"], str(self._question.event_id), deadline)
        except (LakeUnavailable, Unreachable) as exc:
            self._answer.unknown.append(f"the lake: {exc.message}")
            return None
        reason = why_this_hour(kept.sender("event_time"), stamp, self._at.hours)
        return {**hour, **({"because": reason} if reason else {})}

    def _unkept(self, name: str, copies: list[Sighting]) -> dict[str, Any]:
        """Nothing on clean: not yet, or an older copy counts, which the lake may have."""
        assert self._log is not None
        partitions = 1 + max(copy.facts["partition"] for copy in copies)
        settled = undecided(copies, self._log.committed(name, partitions))
        if "duplicates" not in settled:
            return {"deduplicated": settled}
        older = self._from_lake([name])
        return {"deduplicated": settled, **({"hour": older[0]["hour"]} if older else {})}

    def _from_lake(self, types: list[str] | None) -> list[dict[str, Any]]:
        """By the lake alone: what Kafka has forgotten, or cannot be asked for."""
        if self._lake is None:
            return []
        stories: list[dict[str, Any]] = []
        made, deadline = made_at(self._question.event_id), time.monotonic() + self._question.seconds
        begin = self._question.since_ms if self._question.since_ms is not None else None if made is None else made - BEFORE_MS
        hours = None if begin is None else range(self._at.hours.of(begin), self._at.hours.of(int(time.time() * 1000)) + 1)
        names, whole = types or self._lake.event_types(), True
        for name in names:
            rows, all_read = self._lake.rows(name, str(self._question.event_id), hours, deadline)
            whole = whole and all_read
            stories += [_of_row(name, row) for row in rows[:1]]
        since = None if begin is None else moment(begin)
        self._answer.searched.append(Searched(f"sealed hours of {len(names)} event types", 0, 0, since, whole))
        return stories

    def _settled(self) -> dict[tuple[str, int], int]:
        assert self._log is not None
        try:
            return settled(self._log)
        except Unavailable:
            return {}

    def _declared(self, name: str) -> bool | None:
        """Whether a type is declared by now; None: the registry does not say."""
        if self._catalogue is None:
            return None
        try:
            self._catalogue.get(name)
        except WrongInput:
            return False
        except PlatformError:
            return None
        return True


def asked_for(name: str, event_type: str) -> bool:
    return not event_type or name == event_type


def _refused(sighting: Sighting) -> dict[str, Any]:
    return {
        **{name: value for name, value in sighting.facts.items() if value not in ("", None)},
        "detail": unquoted(str(sighting.facts["detail"])),
        **{name: sighting.sender(name) for name in ("sdk", "sdk_version", "app") if sighting.sender(name)},
        "at": sighting.stages["stored"],
    }


def _parked(message: Message, done: int) -> dict[str, Any]:
    """`replayed`: its replay is over; it is on raw, or on `rejected` when it did not fit."""
    offset = message.offset() or 0
    place = {"partition": message.partition(), "offset": offset}
    return {**place, "at": appended(message), "replayed": offset < done, **sender_of(message)}


def _of_row(name: str, row: Row) -> dict[str, Any]:
    from hourmark.hours import label

    facts = row.facts
    place = {"partition": facts["_raw_partition"], "offset": facts["_raw_offset"], "stored": facts["_append_time"]}
    who = {key: facts[f"_{key}"] for key in ("sdk", "sdk_version", "app", "attempt", "event_time")}
    hour = {"hour": label(row.hour), "state": "sealed", "file": row.file, "row": True}
    return {"verdict": "sealed", "type": name, "received": [{**place, **who}], "by": "the lake alone", "hour": hour}
