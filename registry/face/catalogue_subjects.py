"""Subjects of declared events, read from the catalogue's own tables: `raw.<type>-value` and `clean.<type>-value` hold its wire schemas."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from hourmark.topics import clean_topic, is_event_type, raw_topic

from ..tables import schemas
from . import formats
from .forms import Version
from .names import DEFAULT, Subject

LEVEL: Final = "FULL_TRANSITIVE"
_SUFFIX: Final = "-value"


def event_of(subject: Subject) -> str | None:
    """The event type that this name belongs to, declared or not; None for other subjects."""
    stage, _, rest = subject.name.partition(".")
    if subject.context != DEFAULT or stage not in ("raw", "clean") or not rest.endswith(_SUFFIX):
        return None
    event = rest.removesuffix(_SUFFIX)
    return event if is_event_type(event) else None


def subjects_of(event: str) -> tuple[str, str]:
    return clean_topic(event) + _SUFFIX, raw_topic(event) + _SUFFIX


def names(connection: Connection) -> list[str]:
    query = select(schemas.c.event).distinct()
    return [name for event in connection.execute(query).scalars() for name in subjects_of(event)]


def keys(connection: Connection) -> list[tuple[str, int]]:
    query = select(schemas.c.event, schemas.c.version)
    return [(name, number) for event, number in connection.execute(query) for name in subjects_of(event)]


def versions(connection: Connection, subject: str, event: str) -> list[Version]:
    query = select(schemas).where(schemas.c.event == event).order_by(schemas.c.version)
    return [_version(row, subject) for row in connection.execute(query)]


def of_id(connection: Connection, schema_id: int) -> list[Version]:
    row = connection.execute(select(schemas).where(schemas.c.id == schema_id)).first()
    return [] if row is None else [_version(row, name) for name in subjects_of(row.event)]


def same_schema(connection: Connection, schema: formats.Schema) -> int | None:
    """The id of a wire schema that equals this one. Wire schemas are named after their event type."""
    full = schema.avro.full if schema.avro is not None else None
    name = full["name"] if isinstance(full, dict) and full["type"] == "record" else ""
    prefix, _, event = name.partition("hourmark.events.")
    if prefix or not event:
        return None
    found = connection.execute(select(schemas).where(schemas.c.event == event))
    return next((row.id for row in found if fingerprint(row.avro) == schema.fingerprint), None)


@lru_cache(maxsize=1024)
def fingerprint(text: str) -> str:
    """Of a wire schema; versions from here come without, since most readers do not need it."""
    return formats.read("AVRO", text).fingerprint


def _version(row: Row[Any], subject: str) -> Version:
    return Version(subject, row.version, row.id, "AVRO", row.avro, "", ())
