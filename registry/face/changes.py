"""Writes to the face's tables, inside a writing transaction of the caller, each with its row in the audit log."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from ..database import Database
from ..history import Byline, Record, record
from . import catalogue_subjects as declared
from . import errors, references, sequence, subjects
from .formats import Schema
from .forms import Reference, Version
from .names import DEFAULT, Subject
from .tables import face_references, face_schemas, face_versions


def schema_id(connection: Connection, context: str, schema: Schema, refs: Sequence[Reference]) -> int:
    """The id of a schema in a context; a new one when it has none."""
    known = subjects.id_of(connection, context, schema.fingerprint)
    if known is not None:
        return known
    same = declared.same_schema(connection, schema) if context == DEFAULT else None
    given = same if same is not None else sequence.next_id(connection, context)
    _keep_schema(connection, context, given, schema, refs)
    return given


def bring(database: Database, connection: Connection, context: str, schema: Schema, refs: Sequence[Reference], given: int) -> None:
    """Keep a schema under an id from elsewhere. Raises FaceError (42205) when the id is another schema's that stands in a subject."""
    known = subjects.schema_of_id(connection, context, given)
    if known is not None:
        if (known.fingerprint or declared.fingerprint(known.text)) != schema.fingerprint:
            if known.version != 0 or subjects.of_id(connection, context, given):
                raise errors.not_permitted(f"Overwrite new schema with id {given} in context {context} is not permitted.")
            _forget_schema(connection, context, given)
        elif known.version == 0:
            return
    _keep_schema(connection, context, given, schema, refs)
    sequence.reserve(database, connection, context, given)


def add(connection: Connection, subject: Subject, version: Version, text: str, by: Byline) -> None:
    """A version of a subject. `text`: as it was sent now; the schema itself stands already. One with its number gives way."""
    kept = connection.execute(
        select(face_schemas.c.text).where(face_schemas.c.context == subject.context, face_schemas.c.id == version.id)
    ).scalar_one()
    _drop(connection, subject, version.version)
    row = {
        "version": version.version,
        "schema_id": version.id,
        "text": None if kept == text else text,
        "metadata": None if version.metadata is None else json.dumps(version.metadata),
        "rule_set": None if version.rules is None else json.dumps(version.rules),
        "deleted": False,
    }
    connection.execute(insert(face_versions).values(context=subject.context, subject=subject.name, **row))
    sequence.remember(connection, subject.context)
    told(connection, "schema_register", subject, by, version=version.version, schema_id=version.id)


def hide(connection: Connection, subject: Subject, numbers: Sequence[int], by: Byline) -> None:
    """Soft deletion."""
    here = (face_versions.c.context == subject.context, face_versions.c.subject == subject.name)
    connection.execute(update(face_versions).where(*here, face_versions.c.version.in_(numbers)).values(deleted=True))
    told(connection, "schema_delete", subject, by, versions=list(numbers))


def remove(connection: Connection, subject: Subject, numbers: Sequence[int], by: Byline) -> None:
    """Hard deletion. Ids stay given; the numbers of versions go on behind the highest that is left."""
    for number in numbers:
        _drop(connection, subject, number)
    told(connection, "schema_delete_permanent", subject, by, versions=list(numbers))


def told(connection: Connection, action: str, subject: Subject, by: Byline, **detail: object) -> None:
    record(connection, Record(action, f"subject/{subject.qualified()}", by, None, detail))


def _keep_schema(connection: Connection, context: str, given: int, schema: Schema, refs: Sequence[Reference]) -> None:
    texts = {"kind": schema.kind, "fingerprint": schema.fingerprint, "text": schema.text}
    listed = json.dumps([reference.json() for reference in refs])
    connection.execute(insert(face_schemas).values(context=context, id=given, refs=listed, **texts))
    rows = {(*subject.key(), number) for subject, number in references.targets(refs, context)}
    for where, name, number in sorted(rows):
        row = {"context": where, "subject": name, "version": number, "by_id": given, "by_context": context}
        connection.execute(insert(face_references).values(**row))


def _forget_schema(connection: Connection, context: str, given: int) -> None:
    connection.execute(delete(face_schemas).where(face_schemas.c.context == context, face_schemas.c.id == given))
    connection.execute(delete(face_references).where(face_references.c.by_context == context, face_references.c.by_id == given))


def _drop(connection: Connection, subject: Subject, number: int) -> None:
    here = (face_versions.c.context == subject.context, face_versions.c.subject == subject.name)
    connection.execute(delete(face_versions).where(*here, face_versions.c.version == number))
