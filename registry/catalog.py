"""The rules of change: what a declaration becomes, in which order, and when it is refused.

Order of a declaration: validate → topics → store and outbox in one transaction → broadcast. Stopped anywhere, either nobody has heard
of it (topics alone harm nobody) or all of it follows from the outbox; the same request again completes it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from hourmark.metrics import Counter
from hourmark.schemas import EventType, WriteKey, token_digest
from hourmark.topics import TIERS

from . import change
from .compile import fingerprint, wire_schema
from .declaration import Declaration, read
from .gathering import Gathering
from .outbox import Publisher
from .privacy import private_fields
from .provision import Provisioned, Provisioner, Wanted
from .refusal import Problem, Refused, name_taken
from .store import Draft, Stale, Store, StoredEvent

PUBLISH_S = 12.0
MAX_SOURCE = 255

DECLARATIONS = Counter("hourmark_registry_declarations_total", "Declarations by outcome", ["outcome"])


class Expected(NamedTuple):
    """What the writer believes is current. `revision` 0: nothing; `exists`: something, whatever its revision."""

    revision: int | None = None
    exists: bool = False

    def check(self, current: StoredEvent | None) -> None:
        """Raises Refused (412) when the writer is wrong."""
        found = current.revision if current else 0
        if (self.revision is not None and self.revision != found) or (self.exists and not current):
            told = f"the current revision is {found}, not {self.revision}" if self.revision is not None else "there is no such event type"
            fix = "read the event type again, and repeat the change on its current revision"
            raise Refused(412, "revision_mismatch", told, [Problem("", "if_match", told, fix)])


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
    """All changes of the catalogue go through here. One declaration of a type at a time; different types side by side."""

    def __init__(self, store: Store, provisioner: Provisioner, publisher: Publisher) -> None:
        self._store, self._provisioner, self._publisher = store, provisioner, publisher
        self._gathering = Gathering(provisioner)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def declare(self, document: object, expected: Expected, author: str) -> Declared:
        """Make a declaration current everywhere. Raises Refused, or BrokerUnavailable: then the same request again completes it."""
        try:
            declared = await self._declare(document, expected, author)
        except Refused as exc:
            DECLARATIONS.labels(exc.code).inc()
            raise
        except Exception:
            DECLARATIONS.labels("failed").inc()
            raise
        DECLARATIONS.labels("created" if declared.created else "changed" if declared.changed else "identical").inc()
        return declared

    async def _declare(self, document: object, expected: Expected, author: str) -> Declared:
        declaration = await asyncio.to_thread(read, document)
        lock = self._locks.setdefault(declaration.event, asyncio.Lock())
        async with lock:
            while True:
                current = await asyncio.to_thread(self._examine, declaration, expected)
                if current is not None and current.document == declaration.document():
                    started = time.monotonic()
                    await self._publisher.wait_published(current.revision, PUBLISH_S)
                    return Declared(current, False, False, [_stage("published", started)])
                try:
                    return await self._carry_out(declaration, current, author)
                except Stale:
                    continue

    async def _carry_out(self, declaration: Declaration, current: StoredEvent | None, author: str) -> Declared:
        started = time.monotonic()
        wanted = wanted_topics(declaration, current)
        stands = await self._gathering.topics(wanted)
        topics = _stage("topics", started)
        started = time.monotonic()
        stored = await asyncio.to_thread(self._store.commit, draft(declaration, current, stands, author))
        kept = _stage("stored", started)
        await self._publisher.committed(stored.revision)
        started = time.monotonic()
        await self._publisher.wait_published(stored.revision, PUBLISH_S)
        return Declared(stored, current is None, True, [topics, kept, _stage("published", started)])

    def check(self, document: object) -> dict[str, Any]:
        """What `declare` would say, without doing anything."""
        try:
            declaration = read(document)
            current = self._examine(declaration, Expected())
        except Refused as exc:
            return {"ok": False, "code": exc.code, "message": exc.message, "problems": exc.problems}
        same = current is not None and current.document == declaration.document()
        return {"ok": True, "outcome": "identical" if same else "changed" if current else "created", "problems": []}

    def _examine(self, declaration: Declaration, expected: Expected) -> StoredEvent | None:
        """The current state that this declaration may replace. Raises Refused when it may not."""
        event = declaration.event
        current = self._store.event(event)
        expected.check(current)
        if current is None:
            taken = self._store.folded(event.replace(".", "_"))
            if taken is not None:
                told = f"Kafka takes its topics for those of {taken} (dots and underscores count as one)"
                raise name_taken(told)
            return None
        versions = [(str(old.version), json.loads(old.payload)) for old in self._store.schemas_of(event)]
        change.refuse(change.problems(declaration, current.document, current.partitions, versions))
        return current

    async def put_key(self, name: str, types: tuple[str, ...]) -> tuple[str, int, bool]:
        """A new secret for the write key of this name. Returns it, the revision, and whether the name is new."""
        await asyncio.to_thread(self._provisioner.probe)
        token = f"hm_{secrets.token_urlsafe(24)}"
        revision, created = await self.keep_key(name, token, types)
        await self._publisher.wait_published(revision, PUBLISH_S)
        return token, revision, created

    async def keep_key(self, name: str, token: str, types: tuple[str, ...]) -> tuple[int, bool]:
        """Store this secret under this name, unless it stands there already. Returns the revision and whether the name is new."""
        digest = token_digest(token)
        for known in await asyncio.to_thread(self._store.write_keys):
            if (known.name, known.token_sha256, tuple(known.types)) == (name, digest, types):
                return known.revision, False
        key = WriteKey(revision=0, name=name, token_sha256=digest, types=types)
        revision, created = await asyncio.to_thread(self._store.put_key, key)
        await self._publisher.committed(revision)
        return revision, created

    async def delete_key(self, name: str) -> int:
        """Take a write key away; returns the revision. Raises Refused (404)."""
        await asyncio.to_thread(self._provisioner.probe)
        revision = await asyncio.to_thread(self._store.delete_key, name)
        if revision is None:
            raise Refused(404, "unknown_key", f"there is no write key {name!r:.100}")
        await self._publisher.committed(revision)
        await self._publisher.wait_published(revision, PUBLISH_S)
        return revision


def wanted_topics(declaration: Declaration, current: StoredEvent | None) -> Wanted:
    """Topics for a declaration; partitions never become fewer."""
    partitions = declaration.partitions or TIERS[declaration.tier].partitions
    return Wanted(declaration.event, max(partitions, current.partitions if current else 0), *declaration.retention_ms())


def draft(declaration: Declaration, current: StoredEvent | None, stands: Provisioned, author: str) -> Draft:
    """What is stored: a raw topic that was made anew for a known event type is a new source."""
    source = current.source if current else 1
    if current is not None and stands.raw_created:
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
        private=private_fields(declaration.document()),
    )
    return Draft(current.revision if current else None, entry, declaration.document(), wire, fingerprint(wire), author)


def _stage(name: str, started: float) -> Stage:
    return Stage(name, round((time.monotonic() - started) * 1000, 1))
