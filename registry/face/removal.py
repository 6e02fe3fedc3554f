"""Deletion of subjects and versions, soft first and then for good; what others refer to stays."""

from __future__ import annotations

from sqlalchemy import Connection

from ..history import Byline
from . import catalogue_subjects, changes, errors, settings, subjects
from .forms import Version
from .names import Subject

LATEST = -1


def subject(connection: Connection, named: Subject, by: Byline, *, permanent: bool) -> list[int]:
    """Delete all versions; returns their numbers. Config and mode of the subject go with it for good. Raises FaceError."""
    _check(connection, named)
    found = subjects.versions(connection, named)
    live = subjects.live(found)
    if not found:
        raise errors.no_subject(named.shown)
    if permanent and live:
        raise errors.subject_not_deleted(named.shown)
    if not permanent and not live:
        raise errors.subject_deleted(named.shown)
    doomed = found if permanent else live
    for version in doomed:
        _check_references(connection, named, version)
    numbers = [version.version for version in doomed]
    if permanent:
        changes.remove(connection, named, numbers, by)
        settings.drop(connection, named, "config")
        settings.drop(connection, named, "mode")
    else:
        changes.hide(connection, named, numbers, by)
    return numbers


def version(connection: Connection, named: Subject, number: int, by: Byline, *, permanent: bool) -> int:
    """Delete one version (-1: the latest); returns its number. Raises FaceError."""
    _check(connection, named)
    found = subjects.versions(connection, named)
    if not found:
        raise errors.no_subject(named.shown)
    if number == LATEST:
        candidates = subjects.live(found) or (found if permanent else [])
        if not candidates:
            raise errors.no_subject(named.shown)
        number = candidates[-1].version
    doomed = next((each for each in found if each.version == number), None)
    if doomed is None:
        raise errors.no_version(number)
    if permanent and not doomed.deleted:
        raise errors.version_not_deleted(named.shown, number)
    if not permanent and doomed.deleted:
        raise errors.version_deleted(named.shown, number)
    _check_references(connection, named, doomed)
    (changes.remove if permanent else changes.hide)(connection, named, [number], by)
    return number


def _check(connection: Connection, named: Subject) -> None:
    if catalogue_subjects.event_of(named) is not None and subjects.versions(connection, named):
        told = f"{named.name} belongs to the catalogue: its versions are read by records that exist and are not deleted; "
        raise errors.not_permitted(told + "block the event type instead (PUT /v1/events/<type> with lifecycle blocked)")
    mode = settings.mode(connection, named)
    if mode in settings.READ_ONLY:
        raise errors.not_permitted(f"Subject {named.shown} in context {named.context} is in read-only mode ({mode})")


def _check_references(connection: Connection, named: Subject, doomed: Version) -> None:
    if subjects.referring(connection, named, doomed.version):
        raise errors.referenced(named.shown, doomed.version)
