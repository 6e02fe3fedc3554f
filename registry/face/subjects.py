"""Reads of subjects, versions and schemas, own and the catalogue's, inside a transaction of the caller."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, func, select

from . import catalogue_subjects as declared
from .forms import Reference, Version, loaded
from .names import DEFAULT, Subject
from .tables import face_contexts, face_references, face_schemas, face_versions

_OWN = and_(face_versions.c.context == face_schemas.c.context, face_versions.c.schema_id == face_schemas.c.id)


def versions(connection: Connection, subject: Subject) -> list[Version]:
    """All versions of a subject, deleted ones too, oldest first."""
    event = declared.event_of(subject)
    if event is not None:
        return declared.versions(connection, subject.name, event)
    return _select(connection, face_versions.c.context == subject.context, face_versions.c.subject == subject.name)


def live(found: Iterable[Version]) -> list[Version]:
    return [each for each in found if not each.deleted]


def names(connection: Connection, context: str) -> dict[str, tuple[bool, bool]]:
    """Subjects of a context → (has live versions, has deleted ones)."""
    query = select(face_versions.c.subject, face_versions.c.deleted).where(face_versions.c.context == context).distinct()
    found: dict[str, tuple[bool, bool]] = {}
    for name, gone in connection.execute(query):
        alive, dead = found.get(name, (False, False))
        found[name] = (alive or not gone, dead or bool(gone))
    if context == DEFAULT:
        found.update(dict.fromkeys(declared.names(connection), (True, False)))
    return found


def keys(connection: Connection, context: str) -> list[tuple[str, int, bool]]:
    """Subject, version and whether it is deleted, of everything in a context, in order."""
    query = select(face_versions.c.subject, face_versions.c.version, face_versions.c.deleted).where(face_versions.c.context == context)
    found = [(row.subject, row.version, bool(row.deleted)) for row in connection.execute(query)]
    if context == DEFAULT:
        found += [(name, number, False) for name, number in declared.keys(connection)]
    return sorted(found)


def contexts(connection: Connection) -> list[str]:
    return sorted({DEFAULT, *connection.execute(select(face_contexts.c.context)).scalars()})


def of_id(connection: Connection, context: str, schema_id: int) -> list[Version]:
    """Every version with this schema, in the order of subjects; empty when the id is of nothing that is left."""
    found = _select(connection, face_versions.c.context == context, face_versions.c.schema_id == schema_id)
    if context == DEFAULT:
        found += declared.of_id(connection, schema_id)
    return sorted(found, key=lambda each: (each.subject, each.version))


def schema_of_id(connection: Connection, context: str, schema_id: int) -> Version | None:
    """The schema that an id was given to, whether or not a version is left; version 0 of no subject."""
    query = select(face_schemas).where(face_schemas.c.context == context, face_schemas.c.id == schema_id)
    row = connection.execute(query).first()
    if row is not None:
        return Version("", 0, row.id, row.kind, row.text, row.fingerprint, _references(row.refs))
    return next(iter(declared.of_id(connection, schema_id)), None) if context == DEFAULT else None


def id_of(connection: Connection, context: str, fingerprint: str) -> int | None:
    """The id of a schema in a context, given at any time."""
    query = select(func.min(face_schemas.c.id)).where(face_schemas.c.context == context, face_schemas.c.fingerprint == fingerprint)
    return connection.execute(query).scalar()


def referring(connection: Connection, subject: Subject, number: int) -> list[int]:
    """Ids of schemas in live versions that name this version."""
    here = face_references
    query = (
        select(here.c.by_id)
        .join(face_versions, and_(face_versions.c.context == here.c.by_context, face_versions.c.schema_id == here.c.by_id))
        .where(here.c.context == subject.context, here.c.subject == subject.name, here.c.version == number)
        .where(face_versions.c.deleted.is_(False))
        .distinct()
        .order_by(here.c.by_id)
    )
    return list(connection.execute(query).scalars())


def _select(connection: Connection, *where: Any) -> list[Version]:
    columns = (
        face_versions.c.subject,
        face_versions.c.version,
        face_versions.c.schema_id,
        face_schemas.c.kind,
        func.coalesce(face_versions.c.text, face_schemas.c.text).label("text"),
        face_schemas.c.fingerprint,
        face_schemas.c.refs,
        face_versions.c.metadata,
        face_versions.c.rule_set,
        face_versions.c.deleted,
    )
    query = select(*columns).join(face_schemas, _OWN).where(*where).order_by(face_versions.c.subject, face_versions.c.version)
    return [_version(row) for row in connection.execute(query)]


def _version(row: Any) -> Version:
    references = _references(row.refs)
    kept = (loaded(row.metadata), loaded(row.rule_set), bool(row.deleted))
    return Version(row.subject, row.version, row.schema_id, row.kind, row.text, row.fingerprint, references, *kept)


def _references(text: str) -> tuple[Reference, ...]:
    return tuple(Reference(**entry) for entry in json.loads(text))
