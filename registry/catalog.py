"""The rules of change: what a declaration becomes, in which order, and when it is refused.

Order of a declaration: validate → topics → store and outbox in one transaction → broadcast. Stopped anywhere, either nobody has heard
of it (topics alone harm nobody) or all of it follows from the outbox; the same request again completes it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from hourmark.metrics import Counter
from hourmark.schemas import EventType
from hourmark.topics import TIERS

from . import change
from .compile import fingerprint, wire_schema
from .declaration import Declaration, read
from .expected import Expected
from .gathering import Gathering
from .history import Byline, History, Record
from .lifecycle import lifts_a_block, state_of
from .outbox import Publisher
from .privacy import private_fields
from .provision import Provisioned, Provisioner, Wanted
from .refusal import Refused, name_taken, refuse
from .rows import Draft, Stale, StoredEvent
from .store import Store

PUBLISH_S = 12.0
MAX_SOURCE = 255

DECLARATIONS = Counter("hourmark_registry_declarations_total", "Declarations by what came of them", ["outcome"])


class Stage(NamedTuple):
    """A step of a declaration and how long it took."""

    stage: str
    ms: float


class Declared(NamedTuple):
    """What a declaration led to. `changed` False: it was there already, word for word."""

    stored: StoredEvent
    created: bool
    changed: bool
    stages: list[Stage]


class Catalog:
    """All changes of the catalogue go through here. One declaration of a type at a time; different types side by side.

    `careful`: what exists is only changed by writers who name its revision. `sources`: of event types that nodes know and we do not.
    """

    def __init__(self, store: Store, history: History, provisioner: Provisioner, publisher: Publisher, *, careful: bool = False) -> None:
        self._store, self._history, self._provisioner, self._publisher = store, history, provisioner, publisher
        self._gathering = Gathering(provisioner)
        self._careful = careful
        self.sources: Mapping[str, int] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def declare(self, document: object, expected: Expected, byline: Byline) -> Declared:
        """Make a declaration current everywhere. Raises Refused, or BrokerUnavailable: then the same request again completes it."""
        try:
            declared = await self._declare(document, expected, byline)
        except Refused as exc:
            DECLARATIONS.labels(exc.code).inc()
            raise
        except Exception:
            DECLARATIONS.labels("failed").inc()
            raise
        DECLARATIONS.labels("created" if declared.created else "changed" if declared.changed else "identical").inc()
        return declared

    async def _declare(self, document: object, expected: Expected, byline: Byline) -> Declared:
        declaration = await asyncio.to_thread(read, document)
        lock = self._locks.setdefault(declaration.event, asyncio.Lock())
        async with lock:
            while True:
                current = await asyncio.to_thread(self._look, declaration, expected, byline)
                if current is not None and current.document == declaration.document():
                    started = time.monotonic()
                    await self._publisher.wait_published(current.revision, PUBLISH_S)
                    return Declared(current, False, False, [_stage("published", started)])
                try:
                    return await self._carry_out(declaration, current, byline)
                except Stale:
                    continue

    async def _carry_out(self, declaration: Declaration, current: StoredEvent | None, byline: Byline) -> Declared:
        started = time.monotonic()
        wanted = wanted_topics(declaration, current)
        stands = await self._gathering.topics(wanted)
        topics = _stage("topics", started)
        started = time.monotonic()
        made = draft(declaration, current, stands, byline, before=self.sources.get(wanted.event, 0))
        stored = await asyncio.to_thread(self._store.commit, made)
        kept = _stage("stored", started)
        await self._publisher.committed(stored.revision)
        started = time.monotonic()
        await self._publisher.wait_published(stored.revision, PUBLISH_S)
        return Declared(stored, current is None, True, [topics, kept, _stage("published", started)])

    def check(self, document: object) -> dict[str, Any]:
        """What `declare` would say, without doing anything. `message_needed`: it will want to know why."""
        try:
            declaration = read(document)
        except Refused as exc:
            return _verdict(exc)
        current = self._store.event(declaration.event)
        needed = current is not None and lifts_a_block(state_of(current.document), declaration.lifecycle.state)
        names = change.changed(declaration, current.document) if current else []
        facts = {"revision": current.revision if current else None, "changed": names, "message_needed": needed}
        try:
            self._admit(declaration, current)
        except Refused as exc:
            return _verdict(exc) | facts
        outcome = "created" if current is None else "changed" if names else "identical"
        return {"ok": True, "outcome": outcome, "problems": []} | facts

    def _look(self, declaration: Declaration, expected: Expected, byline: Byline) -> StoredEvent | None:
        """The current state, which this declaration may replace, or which says the same. Raises Refused.

        What says the same is there already, whatever revision the writer expects: perhaps the answer to the first request was lost.
        """
        event = declaration.event
        current = self._store.event(event)
        if current is not None and current.document == declaration.document():
            return current
        found = current.revision if current else 0
        latest = [] if expected.fits(found) else self._history.revisions(event, found + 1, 1)
        expected.check(found, careful=self._careful, current=latest[0] if latest else None)
        self._admit(declaration, current)
        if current is not None and not byline.message and lifts_a_block(state_of(current.document), declaration.lifecycle.state):
            told = f"{event} is blocked: who lifts that must say why"
            raise refuse(400, "message_required", told, "send ?message=… or Hourmark-Message (`declare -m`)", "/lifecycle")
        return current

    def _admit(self, declaration: Declaration, current: StoredEvent | None) -> None:
        """Raises Refused when this declaration may not take the place of what is there."""
        event = declaration.event
        if current is None:
            taken = self._store.folded(event.replace(".", "_"))
            if taken is not None:
                raise name_taken(f"Kafka takes its topics for those of {taken} (dots and underscores count as one)")
        else:
            versions: list[tuple[int | str, Any]] = [(old.version, json.loads(old.payload)) for old in self._store.schemas_of(event)]
            change.refuse(change.problems(declaration, current.document, current.partitions, versions))
        self._replacement(event, declaration.lifecycle.replaced_by)

    def _replacement(self, event: str, name: str | None) -> None:
        """Who is sent on to another event type must arrive somewhere: it is declared, and does not lead back."""
        path = "/lifecycle/replaced_by"
        seen: set[str] = set()
        while name is not None and name not in seen:
            seen.add(name)
            found = self._store.event(name)
            if found is None:
                raise refuse(409, "unknown_replacement", f"{name} is not declared", f"declare {name} first", path)
            said = found.document.get("lifecycle")
            name = said.get("replaced_by") if isinstance(said, dict) else None
            if name == event:
                told = f"{found.event} is itself replaced by {event}"
                raise refuse(409, "replacement_loop", told, "take one of the two replacements back", path)


def _verdict(exc: Refused) -> dict[str, Any]:
    return {"ok": False, "code": exc.code, "message": exc.message, "problems": exc.problems}


def wanted_topics(declaration: Declaration, current: StoredEvent | None) -> Wanted:
    """Topics for a declaration; partitions never become fewer."""
    partitions = declaration.partitions or TIERS[declaration.tier].partitions
    return Wanted(declaration.event, max(partitions, current.partitions if current else 0), *declaration.retention_ms())


def draft(
    declaration: Declaration, current: StoredEvent | None, stands: Provisioned, byline: Byline, action: str = "declare", before: int = 0
) -> Draft:
    """What is stored: a raw topic that was made anew for a known event type is a new source.

    `before`: the source that nodes know of an event type which this store does not.
    """
    document = declaration.document()
    source = current.source if current else before or 1
    if another_raw(current, stands) if current else before and stands.raw_created:
        source = source % MAX_SOURCE + 1
    wire = wire_schema(declaration.event, declaration.schema_)
    entry = EventType(
        revision=0,
        event=declaration.event,
        owner=declaration.owner,
        tier=declaration.tier,
        key=declaration.key,
        sdks=tuple(declaration.sdks),
        lifecycle=declaration.lifecycle.state,
        schema_id=0,
        partitions=stands.partitions,
        source=source,
        dedup=declaration.dedup,
        audit=declaration.audit,
        reason=declaration.lifecycle.reason or "",
        until=declaration.lifecycle.until or "",
        replaced_by=declaration.lifecycle.replaced_by or "",
        private=private_fields(document),
    )
    said = Record(action, f"event/{declaration.event}", byline, detail=_what(declaration, current))
    raw_id = stands.raw_id or (current.raw_id if current and not stands.raw_created else "")
    return Draft(current.revision if current else None, entry, document, wire, fingerprint(wire), said, raw_id)


def another_raw(current: StoredEvent, stands: Provisioned) -> bool:
    """True when the raw topic is not the one that was stored: by Kafka's ids, however it came to be so; without them by who made it."""
    if current.raw_id and stands.raw_id:
        return current.raw_id != stands.raw_id
    return stands.raw_created


def _what(declaration: Declaration, current: StoredEvent | None) -> dict[str, Any]:
    """What changes, for the audit log; of who owns it and how it lives also from what to what."""
    if current is None:
        return {"outcome": "created"}
    document, names = declaration.document(), change.changed(declaration, current.document)
    turns: dict[str, Any] = {name: [current.document.get(name), document.get(name)] for name in ("owner", "lifecycle") if name in names}
    return {"outcome": "changed", "changed": names, **turns}


def _stage(name: str, started: float) -> Stage:
    return Stage(name, round((time.monotonic() - started) * 1000, 1))
