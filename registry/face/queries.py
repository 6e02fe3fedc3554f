"""Answers of the reading routes as JSON data, inside a reading transaction of the caller."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from ..tables import schemas
from . import errors, formats, register, sequence, subjects
from .forms import Version
from .names import DEFAULT, Subject, subject_named
from .tables import face_schemas

LATEST = -1
SCHEMAS = 1000  # in one answer, as in Confluent's
EVERYWHERE = ":*:"


class Filter(NamedTuple):
    """Which of many. `limit` below 1: all."""

    deleted: bool = False
    deleted_only: bool = False
    offset: int = 0
    limit: int = 0

    def page(self, found: list[Any]) -> list[Any]:
        kept = found[max(0, self.offset) :]
        return kept[: self.limit] if self.limit > 0 else kept

    def takes(self, *, alive: bool, dead: bool) -> bool:
        if self.deleted_only:
            return dead and not alive
        return alive or (self.deleted and dead)


def subject_names(connection: Connection, context: str, prefix: str, wanted: Filter) -> list[str]:
    """Subjects by name: of this context as they are, of others with their context in front."""
    found = []
    for where, begins, qualified in _scopes(connection, context, prefix):
        for name, (alive, dead) in subjects.names(connection, where).items():
            if name.startswith(begins) and wanted.takes(alive=alive, dead=dead):
                found.append(Subject(where, name).qualified() if qualified else name)
    return wanted.page(sorted(found))


def version_numbers(connection: Connection, subject: Subject, wanted: Filter) -> list[int]:
    found = subjects.versions(connection, subject)
    kept = [version.version for version in found if wanted.takes(alive=not version.deleted, dead=version.deleted)]
    if not kept and not (wanted.deleted_only and found):
        raise errors.no_subject(subject.shown)
    return wanted.page(kept)


def one_version(connection: Connection, subject: Subject, number: int, *, deleted: bool) -> Version:
    """A version by its number, -1 for the latest. Raises FaceError: 40401, 40402."""
    found = subjects.versions(connection, subject)
    candidates = found if deleted else subjects.live(found)
    if not candidates:
        raise errors.no_subject(subject.shown)
    for version in candidates[::-1]:
        if number in (LATEST, version.version):
            return version
    raise errors.no_version(number)


def schema_of_id(connection: Connection, context: str, schema_id: int, subject: str) -> Version:
    """The schema of an id, as the given subject has it, if any. Raises FaceError (40403)."""
    wanted = subject_named(subject, context) if subject else Subject(context, "")
    places = [wanted.context]
    if wanted.context == DEFAULT and wanted.name:
        places += [other for other in subjects.contexts(connection) if other != DEFAULT]
    first: Version | None = None
    for place in places:
        for version in subjects.of_id(connection, place, schema_id):
            if not wanted.name or version.subject == wanted.name:
                return version
            first = first or (version if place == wanted.context else None)
    if first is None:
        raise errors.no_schema(schema_id)
    return first


def holders(connection: Connection, context: str, schema_id: int, subject: str, *, deleted: bool) -> list[Version]:
    """Versions that have this schema. Raises FaceError (40403)."""
    wanted = subject_named(subject, context) if subject else Subject(context, "")
    found = subjects.of_id(connection, wanted.context, schema_id)
    if not found:
        raise errors.no_schema(schema_id)
    return [each for each in found if (deleted or not each.deleted) and wanted.name in ("", each.subject)]


def listed(connection: Connection, context: str, prefix: str, wanted: Filter, *, latest_only: bool) -> list[tuple[str, Version]]:
    """Versions of all subjects of a prefix, at most 1000, with the subjects as they are shown."""
    keys = []
    for where, begins, qualified in _scopes(connection, context, prefix):
        every = subjects.keys(connection, where)
        kept = [(name, number) for name, number, gone in every if name.startswith(begins) and wanted.takes(alive=not gone, dead=gone)]
        if latest_only:
            kept = list(dict(kept).items())
        keys += [(Subject(where, name).qualified() if qualified else name, Subject(where, name), number) for name, number in kept]
    limit = min(wanted.limit, SCHEMAS) if wanted.limit > 0 else SCHEMAS
    page = wanted._replace(limit=limit).page(sorted(keys, key=lambda key: (key[0], key[2])))
    known = {subject.key(): subjects.versions(connection, subject) for _, subject, _ in page}
    return [(shown, version) for shown, subject, number in page for version in known[subject.key()] if version.version == number]


def text_of(connection: Connection, context: str, version: Version, form: str) -> str:
    """The schema's text as sent, or with its references in it (`resolved`)."""
    if form == "resolved" and version.references:
        return formats.resolved(register.reader(connection, context)(version))
    return version.text


def compared(found: list[Version], wanted: int | None) -> list[Version]:
    """Those of the live versions that a check is against: all (None), the latest (-1), if any, or this one. Raises FaceError."""
    if wanted is None:
        return found
    kept = found[-1:] if wanted == LATEST else [version for version in found if version.version == wanted]
    if not kept and wanted != LATEST:
        raise errors.no_version(wanted)
    return kept


def largest_id(connection: Connection, context: str) -> int:
    """The highest id of a schema in a context."""
    own = connection.execute(select(func.max(face_schemas.c.id)).where(face_schemas.c.context == context)).scalar() or 0
    if context != DEFAULT:
        return max(own, sequence.last_id(connection, context))
    return max(own, connection.execute(select(func.max(schemas.c.id))).scalar() or 0)


def _scopes(connection: Connection, context: str, prefix: str) -> list[tuple[str, str, bool]]:
    """Contexts to look into: name, prefix of subjects there, and whether these are shown with the context."""
    if prefix.startswith(EVERYWHERE):
        return [(where, prefix[len(EVERYWHERE) :], True) for where in subjects.contexts(connection)]
    if prefix.startswith(":.") and ":" in prefix[2:]:
        named = subject_named(prefix, context)
        return [(named.context, named.name, True)]
    return [(context, prefix, False)]
