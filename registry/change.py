"""May this declaration take the place of that one? Pure: the registry and the command line refuse by the same code.

What only the registry knows (is the replacement declared, who else uses the topics' names) stays in catalog.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from . import compatibility, lifecycle
from .declaration import Declaration
from .refusal import Problem, Refused

MISSING: Final = object()
_CODES: Final = {"partitions_shrink": "partitions_shrink", "lifecycle_transition": "lifecycle_transition"}


def problems(
    new: Declaration, current: Mapping[str, Any] | None, partitions: int, versions: Sequence[tuple[int | str, Mapping[str, Any]]]
) -> list[Problem]:
    """Why a sound declaration may not follow what is there; empty when it may.

    `current`: the declaration now, None when there is none; `partitions`: of its topics now, 0 when there are none; `versions`: all payload
    schemas so far, oldest first, each with its number or name.
    """
    found = []
    if new.partitions is not None and new.partitions < partitions:
        told = f"{new.event} has {partitions} partitions, which cannot become {new.partitions}"
        found.append(Problem("/partitions", "partitions_shrink", told, f"keep at least {partitions}"))
    if current is not None:
        found += lifecycle.transition(lifecycle.state_of(current), new.lifecycle.state)
    return found + compatibility.check(versions, new.schema_)


def refuse(found: list[Problem]) -> None:
    """Raises Refused (409) when there are problems; its code is that of the first."""
    if found:
        code = _CODES.get(found[0].rule, "incompatible_schema")
        raise Refused(409, code, found[0].message, found)


def changed(new: Declaration, current: Mapping[str, Any]) -> list[str]:
    """Names of the declaration's fields that would no longer say what they say."""
    document = new.document()
    return [name for name in {**document, **current} if document.get(name, MISSING) != current.get(name, MISSING)]
