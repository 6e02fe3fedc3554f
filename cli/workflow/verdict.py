"""May this declaration take the place of what stands in git? The registry's own rules, asked here without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hourmark.topics import TIERS
from registry import change
from registry.declaration import Declaration, check
from registry.refusal import Problem

Version = tuple[str, Mapping[str, Any]]  # what names an older schema, and the schema


def complete(document: object) -> dict[str, Any]:
    """A sound declaration as the registry keeps it, with its defaults. Raises ValueError for one that is not."""
    return Declaration.model_validate(document).document()


def against(document: Mapping[str, Any], before: Mapping[str, Any] | None, versions: Sequence[Version]) -> list[Problem]:
    """Problems of replacing `before` (None: it is new) by a sound declaration; `versions`: all schemas so far, newest first."""
    current, partitions = None, 0
    if before is not None and (before == document or not check(before)):
        old = Declaration.model_validate(before)
        current, partitions = old.document(), old.partitions or TIERS[old.tier].partitions
    others = [version for version in reversed(versions) if version[1] != document["schema"]]  # a schema may always follow itself
    sound = [version for version in others if _was_sound(document, version[1])]  # the registry cannot have the rest
    return change.problems(Declaration.model_validate(document), current, partitions, sound)


def _was_sound(document: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    plain = {"event": document["event"], "owner": "nobody", "schema": schema}
    return all(problem.rule == "personal_data" for problem in check(plain))
