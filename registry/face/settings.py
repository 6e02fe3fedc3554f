"""Config and mode of subjects, contexts and everything: how they are kept, and which one holds.

A subject's own setting comes first, then its context's, then that of `.__GLOBAL`, then what is built in.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from . import catalogue_subjects as declared
from .names import DEFAULT, GLOBAL, Subject, subject_named
from .tables import face_settings

LEVEL: Final = "BACKWARD"
READWRITE: Final = "READWRITE"
READ_ONLY: Final = frozenset({"READONLY", "READONLY_OVERRIDE", "FORWARD"})
Config = dict[str, Any]


class Rules(NamedTuple):
    """What holds for a subject when something is registered or checked."""

    mode: str
    level: str
    normalize: bool
    validate_fields: bool
    group: str | None
    config: Config  # the nearest one that is set, for defaults and overrides of metadata and rules


def own(connection: Connection, subject: Subject, kind: str) -> Config | None:
    """What is set for exactly this subject or context."""
    where = (face_settings.c.context == subject.context, face_settings.c.subject == subject.name, face_settings.c.kind == kind)
    found = connection.execute(select(face_settings.c.value).where(*where)).scalar()
    return None if found is None else json.loads(found)


def put(connection: Connection, subject: Subject, kind: str, value: Config) -> None:
    drop(connection, subject, kind)
    row = {"context": subject.context, "subject": subject.name, "kind": kind, "value": json.dumps(value)}
    connection.execute(insert(face_settings).values(**row))


def drop(connection: Connection, subject: Subject, kind: str) -> None:
    where = (face_settings.c.context == subject.context, face_settings.c.subject == subject.name, face_settings.c.kind == kind)
    connection.execute(delete(face_settings).where(*where))


def chain(connection: Connection, subject: Subject, kind: str) -> list[Config]:
    """Everything that is set for a subject, nearest first."""
    places = dict.fromkeys([subject.key(), (subject.context, ""), (GLOBAL, "")])
    found = [own(connection, Subject(*place), kind) for place in places]
    return [value for value in found if value is not None]


def mode(connection: Connection, subject: Subject) -> str:
    """The mode that holds. READONLY_OVERRIDE of a context, or of the default one, beats what its subjects say."""
    for context in dict.fromkeys((DEFAULT, subject.context)):
        overall = chain(connection, Subject(context, ""), "mode")
        if overall and overall[0]["mode"] == "READONLY_OVERRIDE":
            return "READONLY_OVERRIDE"
    found = chain(connection, subject, "mode")
    return str(found[0]["mode"]) if found else READWRITE


def rules(connection: Connection, subject: Subject) -> Rules:
    found = chain(connection, subject, "config")

    def nearest(name: str, otherwise: Any) -> Any:
        return next((config[name] for config in found if config.get(name) is not None), otherwise)

    level = declared.LEVEL if declared.event_of(subject) is not None else str(nearest("compatibilityLevel", LEVEL))
    holds = mode(connection, subject)
    config = found[0] if found else {}
    normalize, fields = bool(nearest("normalize", False)), bool(nearest("validateFields", False))
    return Rules(holds, level, normalize, fields, config.get("compatibilityGroup"), config)


def resolve(connection: Connection, subject: Subject) -> Subject:
    """The subject that this name is an alias of, or the name itself."""
    if not subject.name or declared.event_of(subject) is not None:
        return subject
    config = own(connection, subject, "config")
    alias = (config or {}).get("alias")
    if not alias:
        return subject
    return subject_named(alias, subject.context)
