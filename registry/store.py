"""The truth about event types: current declarations, their history, wire schemas, write keys, and the outbox to `hourmark.control`.

Every write and its outbox rows are one transaction. Ids and revisions are never used twice. Blocking: call it from a thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from hourmark.crashpoints import crashpoint
from hourmark.schemas import Entry, WireSchema, WriteKey, avro_text, encode_entry, entry_key

from .database import Database
from .history import Record, record, revise
from .rows import Draft, OutboxRow, Stale, StoredEvent, StoredKey, StoredSchema
from .tables import events, keys, outbox, schemas
from .tables import store as itself

SUMMARY = (
    events.c.event,
    events.c.revision,
    events.c.owner,
    events.c.description,
    events.c.tier,
    events.c.lifecycle,
    events.c.schema_id,
    events.c.schema_version,
    events.c.partitions,
)
_NAMES = tuple(column.name for column in SUMMARY)


class Store:
    """All reads and writes. `source` of an event type counts the incarnations of its raw topic."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def shared(self) -> bool:
        """True when other registries may work on it too."""
        return self._database.shared

    def identity(self) -> str:
        """What this store is called, for ever and for everyone who shares it."""
        with self._database.writing() as connection:
            found = connection.execute(select(itself.c.id)).scalar()
            if found is None:
                found = uuid4().hex
                connection.execute(insert(itself).values(number=1, id=found))
            return str(found)

    def publishing(self) -> AbstractContextManager[None]:
        """While one registry publishes, others who share the store wait."""
        return self._database.publishing()

    def event(self, name: str) -> StoredEvent | None:
        with self._database.reading() as connection:
            return _event(connection, name)

    def events_after(self, after: str, limit: int, q: str = "") -> list[dict[str, Any]]:
        """Summaries in the order of names, behind `after`; `q` is looked for in name, owner and description."""
        query = select(*SUMMARY).where(events.c.event > after).order_by(events.c.event).limit(limit)
        if q:
            query = query.where(
                or_(*(column.icontains(q, autoescape=True) for column in (events.c.event, events.c.owner, events.c.description)))
            )
        with self._database.reading() as connection:
            return [dict(zip(_NAMES, row, strict=True)) for row in connection.execute(query)]

    def all_events(self) -> list[StoredEvent]:
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(select(events).order_by(events.c.event))]

    def folded(self, folded: str) -> str | None:
        """The event type whose topics Kafka would take for those of this folded name."""
        with self._database.reading() as connection:
            return connection.execute(select(events.c.event).where(events.c.folded == folded)).scalar()

    def schema(self, schema_id: int) -> StoredSchema | None:
        with self._database.reading() as connection:
            row = connection.execute(select(schemas).where(schemas.c.id == schema_id)).first()
        return None if row is None else StoredSchema._make(row)

    def schemas_of(self, event: str) -> list[StoredSchema]:
        """All versions, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(schemas).where(schemas.c.event == event).order_by(schemas.c.version))
            return [StoredSchema._make(row) for row in rows]

    def event_names(self) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.execute(select(events.c.event).order_by(events.c.event)).scalars())

    def commit(self, draft: Draft) -> StoredEvent:
        """Store a draft with its schema (when new) and both outbox rows. Raises Stale when its base is no longer current."""
        event, folded = draft.entry.event, draft.entry.event.replace(".", "_")
        with self._database.writing() as connection:
            current = _event(connection, event)
            if (current.revision if current else None) != draft.base:
                raise Stale
            if current is None and connection.execute(select(events.c.event).where(events.c.folded == folded)).first():
                raise Stale  # a name that Kafka takes for this one has just been declared
            schema_id, version = _schema(connection, draft)
            entry = _enqueue(connection, msgspec.structs.replace(draft.entry, schema_id=schema_id, schema_version=version))
            row = {
                "revision": entry.revision,
                "owner": entry.owner,
                "description": draft.document.get("description", ""),
                "tier": entry.tier,
                "lifecycle": entry.lifecycle,
                "schema_id": schema_id,
                "schema_version": version,
                "partitions": entry.partitions,
                "source": entry.source,
                "document": json.dumps(draft.document),
                "raw_id": draft.raw_id,
            }
            if current is None:
                connection.execute(insert(events).values(event=event, folded=folded, **row))
            else:
                connection.execute(update(events).where(events.c.event == event).values(**row))
            revise(connection, event, str(row["document"]), draft.record._replace(revision=entry.revision))
            crashpoint("registry.before_commit")
        crashpoint("registry.committed")
        document = dict(draft.document)
        return StoredEvent(event, entry.revision, schema_id, version, entry.partitions, entry.source, document, draft.raw_id)

    def know_raw(self, event: str, raw_id: str) -> None:
        """Remember the id of a raw topic that was not known."""
        with self._database.writing() as connection:
            connection.execute(update(events).where(events.c.event == event, events.c.raw_id == "").values(raw_id=raw_id))

    def put_key(self, key: WriteKey, said: Record, base: int | None) -> int:
        """Store a write key, in place of that of its name with revision `base` (None: of none). Returns its revision. Raises Stale."""
        with self._database.writing() as connection:
            if _key_revision(connection, key.name) != base:
                raise Stale
            connection.execute(delete(keys).where(keys.c.name == key.name))
            entry = _enqueue(connection, key)
            types = json.dumps(list(key.types))
            row = {"name": key.name, "token_sha256": key.token_sha256, "types": types, "revision": entry.revision, "at": time.time()}
            connection.execute(insert(keys).values(**row))
            record(connection, said._replace(revision=entry.revision))
            return int(entry.revision)

    def delete_key(self, name: str, said: Record, base: int) -> int:
        """Take the write key of this name and revision away. Returns the revision of that. Raises Stale."""
        with self._database.writing() as connection:
            if not connection.execute(delete(keys).where(keys.c.name == name, keys.c.revision == base)).rowcount:
                raise Stale
            revision = _inserted(connection.execute(insert(outbox).values(key=f"key/{name}", value=None)))
            record(connection, said._replace(revision=revision))
            return revision

    def key(self, name: str) -> StoredKey | None:
        return next((key for key in self.write_keys() if key.name == name), None)

    def write_keys(self) -> list[StoredKey]:
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.name)).mappings()
            return [StoredKey(row["name"], json.loads(row["types"]), row["revision"], row["token_sha256"]) for row in rows]

    def unpublished(self, limit: int) -> list[OutboxRow]:
        """The oldest rows that are not yet on the control topic, in the order of revisions."""
        query = select(outbox.c.revision, outbox.c.key, outbox.c.value).where(outbox.c.published_at.is_(None))
        with self._database.reading() as connection:
            return [OutboxRow._make(row) for row in connection.execute(query.order_by(outbox.c.revision).limit(limit))]

    def mark_published(self, numbers: Iterable[int]) -> None:
        with self._database.writing() as connection:
            connection.execute(update(outbox).where(outbox.c.revision.in_(list(numbers))).values(published_at=time.time()))

    def publish_again(self) -> int:
        """Mark the newest row of every key as unpublished; returns how many these are."""
        newest = select(func.max(outbox.c.revision)).group_by(outbox.c.key)
        with self._database.writing() as connection:
            return connection.execute(update(outbox).where(outbox.c.revision.in_(newest)).values(published_at=None)).rowcount

    def outbox_state(self) -> tuple[int, int, int]:
        """Newest revision, newest revision up to which all are published, and how many are not."""
        newest = select(func.max(outbox.c.revision)).scalar_subquery()  # one statement: others write meanwhile
        waiting = select(newest, func.min(outbox.c.revision), func.count()).where(outbox.c.published_at.is_(None))
        with self._database.reading() as connection:
            last, first, count = connection.execute(waiting).one()
            return last or 0, last or 0 if first is None else first - 1, count

    def skip_to(self, revision: int, schema_id: int) -> None:
        """Never give out revisions and schema ids up to these: someone else has seen them."""
        with self._database.writing() as connection:
            for column, floor in ((outbox.c.revision, revision), (schemas.c.id, schema_id)):
                if floor > (connection.execute(select(func.max(column))).scalar() or 0):
                    self._database.skip_numbers(connection, column, floor)

    def changes(self, since: int) -> list[OutboxRow]:
        """The newest row of every key that changed after revision `since`, in the order of revisions."""
        newest = select(func.max(outbox.c.revision)).where(outbox.c.revision > since).group_by(outbox.c.key)
        query = select(outbox.c.revision, outbox.c.key, outbox.c.value).where(outbox.c.revision.in_(newest))
        with self._database.reading() as connection:
            return [OutboxRow._make(row) for row in connection.execute(query.order_by(outbox.c.revision))]


def _event(connection: Connection, name: str) -> StoredEvent | None:
    row = connection.execute(select(events).where(events.c.event == name)).first()
    return None if row is None else _stored(row)


def _key_revision(connection: Connection, name: str) -> int | None:
    return connection.execute(select(keys.c.revision).where(keys.c.name == name)).scalar()


def _stored(row: Row[Any]) -> StoredEvent:
    numbers = (row.revision, row.schema_id, row.schema_version, row.partitions, row.source)
    return StoredEvent(row.event, *numbers, json.loads(row.document), row.raw_id)


def _schema(connection: Connection, draft: Draft) -> tuple[int, int]:
    """Id and version of the draft's wire schema; a new one is stored and enqueued, before the event type that names it."""
    event = draft.entry.event
    known = select(schemas.c.id, schemas.c.version).where(schemas.c.event == event, schemas.c.fingerprint == draft.fingerprint)
    found = connection.execute(known).first()
    if found is not None:
        return found.id, found.version
    version = (connection.execute(select(func.max(schemas.c.version)).where(schemas.c.event == event)).scalar() or 0) + 1
    texts = {"fingerprint": draft.fingerprint, "avro": json.dumps(draft.wire), "payload": json.dumps(draft.document["schema"])}
    schema_id = _inserted(connection.execute(insert(schemas).values(event=event, version=version, **texts)))
    wire = WireSchema(
        revision=0, schema_id=schema_id, event=event, version=version, fingerprint=draft.fingerprint, text=avro_text(draft.wire)
    )
    _enqueue(connection, wire)
    return schema_id, version


def _enqueue(connection: Connection, entry: Entry) -> Any:
    """Put an entry into the outbox; returns it with its revision."""
    revision = _inserted(connection.execute(insert(outbox).values(key=entry_key(entry), value=b"")))
    entry = msgspec.structs.replace(entry, revision=revision)
    connection.execute(update(outbox).where(outbox.c.revision == revision).values(value=encode_entry(entry)))
    return entry


def _inserted(result: Any) -> int:
    return int(result.inserted_primary_key[0])
