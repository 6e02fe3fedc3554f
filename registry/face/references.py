"""References between schemas: what they name must exist, is read with them, and is not deleted from under them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from . import errors, subjects
from .forms import Reference, Version
from .names import Subject, subject_named

MAX_USED = 1000


def used(connection: Connection, references: Sequence[Reference], context: str, *, deleted: bool = True) -> list[tuple[str, str]]:
    """Name and text of everything that references lead to, dependencies first. Raises FaceError (42201) for one that leads nowhere.

    `context`: where unqualified subjects belong. `deleted`: soft-deleted versions count at the first level too.
    """
    found: dict[tuple[str, str, int], tuple[str, str]] = {}
    _follow(connection, references, context, deleted, found, [])
    return list(found.values())


def settled(connection: Connection, references: Sequence[Reference], context: str) -> tuple[Reference, ...]:
    """References with `latest` (-1) as the number that it is now."""
    return tuple(reference._replace(version=_target(connection, reference, context, True)[1].version) for reference in references)


def targets(references: Sequence[Reference], context: str) -> list[tuple[Subject, int]]:
    """What settled references name."""
    return [(subject_named(reference.subject, context), reference.version) for reference in references]


def _follow(
    connection: Connection,
    references: Sequence[Reference],
    context: str,
    deleted: bool,
    found: dict[tuple[str, str, int], tuple[str, str]],
    path: list[tuple[str, str, int]],
) -> None:
    for reference in references:
        subject, version = _target(connection, reference, context, deleted)
        key = (*subject.key(), version.version)
        if key in path:
            raise errors.invalid_schema(f"references lead back to themselves: {reference.subject} version {version.version}")
        if key in found:
            continue
        if len(found) >= MAX_USED or len(path) >= 50:
            raise errors.invalid_schema(f"references lead to more than {MAX_USED} schemas, or through more than 50")
        _follow(connection, version.references, subject.context, True, found, [*path, key])
        found[key] = (reference.name, version.text)


def _target(connection: Connection, reference: Reference, context: str, deleted: bool) -> tuple[Subject, Version]:
    subject = subject_named(reference.subject, context)
    found = subjects.versions(connection, subject)
    candidates = found if deleted and reference.version != -1 else subjects.live(found)
    for version in reversed(candidates):
        if reference.version in (-1, version.version):
            return subject, version
    told = f'No schema reference found for subject "{reference.subject}" and version {reference.version}'
    raise errors.invalid_schema(told)
