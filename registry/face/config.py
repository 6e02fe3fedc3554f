"""Config of subjects and contexts: compatibility level, normalisation, alias, groups, defaults and overrides of metadata and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from ..history import Byline
from . import catalogue_subjects, changes, compat, errors, settings
from .forms import metadata_of, rules_of
from .names import GLOBAL, Subject
from .settings import Config

_TEXTS: Final = ("alias", "compatibilityGroup", "compatibilityPolicy")
_FLAGS: Final = ("normalize", "validateFields", "validateNames", "validateNewSchemas", "validateRules", "aliasForDeks")
_METADATA: Final = ("defaultMetadata", "overrideMetadata")
_RULES: Final = ("defaultRuleSet", "overrideRuleSet")
_LEVELS: Final = ("compatibility", "compatibilityLevel")  # the words of PUT and of GET; a client may send back what it got


def get(connection: Connection, named: Subject, *, inherited: bool) -> Config:
    """What is set here, or, when `inherited`, what holds. Raises FaceError (40408)."""
    if catalogue_subjects.event_of(named) is not None:
        return {"compatibilityLevel": catalogue_subjects.LEVEL}
    own = settings.own(connection, named, "config")
    if named.name and not inherited:
        if own is None:
            raise errors.no_config(named.shown)
        return own
    if not inherited and named.context != GLOBAL:
        return {"compatibilityLevel": settings.LEVEL, **(own or {})}
    found = settings.chain(connection, named, "config")
    level = next((config["compatibilityLevel"] for config in found if "compatibilityLevel" in config), settings.LEVEL)
    return {**(found[0] if found else {}), "compatibilityLevel": level}


def put(connection: Connection, named: Subject, body: object, by: Byline) -> Config:
    """Change what the body names; null takes a setting away. Returns what was set, with the level. Raises FaceError."""
    change = _change(body)
    _check(connection, named)
    own = settings.own(connection, named, "config") or {}
    kept = {name: value for name, value in {**own, **change}.items() if value is not None}
    if change:
        settings.put(connection, named, "config", kept)
        changes.told(connection, "config_update", named, by, change=change)
    said = {name: value for name, value in change.items() if value is not None and name != "compatibilityLevel"}
    level = kept.get("compatibilityLevel") or get(connection, named, inherited=True)["compatibilityLevel"]
    return {"compatibility": level, **said}


def delete(connection: Connection, named: Subject, by: Byline) -> Config:
    """Take away what is set here; returns it. Raises FaceError (40401)."""
    _check(connection, named)
    own = settings.own(connection, named, "config")
    if own is None and named.name:
        raise errors.no_subject(named.shown)
    settings.drop(connection, named, "config")
    changes.told(connection, "config_delete", named, by)
    return {"compatibilityLevel": settings.LEVEL, **(own or {})}


def _change(body: object) -> Config:
    if not isinstance(body, dict):
        raise errors.malformed('Malformed request: the body must be a JSON object like {"compatibility": "BACKWARD"}')
    found: Config = {}
    for name, value in body.items():
        if name in _LEVELS:
            found["compatibilityLevel"] = _level(value)
        else:
            found[name] = None if value is None else _value(name, value, body)
    return found


def _value(name: str, value: object, body: Mapping[str, Any]) -> Any:
    if name in _METADATA:
        return metadata_of(value, name)
    if name in _RULES:
        return rules_of(value, name)
    if name in _TEXTS and isinstance(value, str) and len(value) <= 500:
        return value or None
    if name in _FLAGS and isinstance(value, bool):
        return value
    if name in (*_TEXTS, *_FLAGS):
        raise errors.FaceError(422, 422, f"`{name}` must be {'a text' if name in _TEXTS else 'true or false'}")
    raise errors.FaceError(422, 422, f"Unrecognized field: {name:.100}")


def _level(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value.upper() not in compat.LEVELS:
        raise errors.invalid_level()
    return value.upper()


def _check(connection: Connection, named: Subject) -> None:
    if catalogue_subjects.event_of(named) is not None:
        told = f"{named.name} belongs to the catalogue, whose schemas are {catalogue_subjects.LEVEL} for ever"
        raise errors.not_permitted(told)
    mode = settings.mode(connection, named)
    if mode in settings.READ_ONLY:
        raise errors.not_permitted(f"Subject {named.shown} in context {named.context} is in read-only mode ({mode})")
