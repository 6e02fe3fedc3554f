"""Modes: who may register what. READWRITE; READONLY, FORWARD and READONLY_OVERRIDE refuse changes; IMPORT takes schemas with their ids."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from ..history import Byline
from . import catalogue_subjects, changes, errors, settings, subjects
from .names import DEFAULT, GLOBAL, Subject

MODES: Final = frozenset({"READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"})


def get(connection: Connection, named: Subject, *, inherited: bool) -> dict[str, Any]:
    """What is set here, or, when `inherited`, what holds. Raises FaceError (40409)."""
    if inherited or catalogue_subjects.event_of(named) is not None:
        return {"mode": settings.mode(connection, named)}
    own = settings.own(connection, named, "mode")
    if own is None and named.name:
        raise errors.no_mode(named.shown)
    return {"mode": (own or {}).get("mode", settings.READWRITE)}


def put(connection: Connection, named: Subject, body: object, by: Byline, *, force: bool) -> dict[str, Any]:
    """Set the mode of a subject or context. Raises FaceError: 42204, 42205."""
    if not isinstance(body, dict):
        raise errors.malformed('Malformed request: the body must be a JSON object like {"mode": "READONLY"}')
    for field in body:
        if field != "mode":
            raise errors.FaceError(422, 422, f"Unrecognized field: {field!s:.100}")
    wanted = body.get("mode")
    if not isinstance(wanted, str) or wanted.upper() not in MODES:
        raise errors.invalid_mode()
    wanted = wanted.upper()
    _check(named)
    if wanted == "IMPORT" and not force and settings.mode(connection, named) != "IMPORT" and _has_subjects(connection, named):
        raise errors.not_permitted("Cannot import since found existing subjects; force=true allows it")
    settings.put(connection, named, "mode", {"mode": wanted})
    changes.told(connection, "mode_update", named, by, mode=wanted)
    return {"mode": wanted}


def delete(connection: Connection, named: Subject, by: Byline) -> dict[str, Any]:
    """Take away the mode that is set here; returns it. Raises FaceError (40401)."""
    _check(named)
    own = settings.own(connection, named, "mode")
    if own is None and named.name:
        raise errors.no_subject(named.shown)
    settings.drop(connection, named, "mode")
    changes.told(connection, "mode_delete", named, by)
    return {"mode": (own or {}).get("mode", settings.READWRITE)}


def _has_subjects(connection: Connection, named: Subject) -> bool:
    if named.name:
        return bool(subjects.live(subjects.versions(connection, named)))
    contexts = subjects.contexts(connection) if named.context in (DEFAULT, GLOBAL) else [named.context]
    if named.context == DEFAULT:
        contexts = [DEFAULT]
    return any(alive for context in contexts for alive, _ in subjects.names(connection, context).values())


def _check(named: Subject) -> None:
    if catalogue_subjects.event_of(named) is not None:
        raise errors.not_permitted(f"{named.name} belongs to the catalogue: block the event type to stop it (PUT /v1/events/<type>)")
