"""Ids of schemas: one sequence with the catalogue's in the default context, one of its own in every other; none is given out twice."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, text, update

from ..database import Database
from ..tables import schemas
from .names import DEFAULT
from .tables import face_contexts

LARGEST = 2_000_000_000  # that is brought in; four bytes in front of every record hold a little more, which is left for what comes after
LAST_VERSION = 2**31 - 1


def next_id(connection: Connection, context: str) -> int:
    """A new id. Inside a writing transaction."""
    if context != DEFAULT:
        known = last_id(connection, context)
        _move(connection, context, known, known + 1)
        return known + 1
    facts = {"table": schemas.name}
    if connection.dialect.name != "sqlite":
        return int(connection.execute(text("SELECT nextval(pg_get_serial_sequence(:table, 'id'))"), facts).scalar_one())
    if not connection.execute(text("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = :table"), facts).rowcount:
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, 1)"), facts)
    return int(connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), facts).scalar_one())


def reserve(database: Database, connection: Connection, context: str, taken: int) -> None:
    """Never give out ids up to this one, which was brought in from elsewhere."""
    if context == DEFAULT:
        database.skip_numbers(connection, schemas.c.id, taken)
    else:
        known = last_id(connection, context)
        _move(connection, context, known, max(known, taken))


def last_id(connection: Connection, context: str) -> int:
    """The highest id given out in a context other than the default one; 0 for a new context."""
    return connection.execute(select(face_contexts.c.last_id).where(face_contexts.c.context == context)).scalar() or 0


def remember(connection: Connection, context: str) -> None:
    """Make sure that a context is listed."""
    if context != DEFAULT and connection.execute(select(face_contexts.c.context).where(face_contexts.c.context == context)).first() is None:
        connection.execute(insert(face_contexts).values(context=context, last_id=0))


def _move(connection: Connection, context: str, known: int, last: int) -> None:
    moved = connection.execute(update(face_contexts).where(face_contexts.c.context == context).values(last_id=last))
    if not moved.rowcount:
        connection.execute(insert(face_contexts).values(context=context, last_id=last))
