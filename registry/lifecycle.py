"""The life of an event type: draft → active → deprecated → blocked, what is said with each state, and which ways lead back.

Written as a word (`active`) or as a mapping (`{state: deprecated, until: 2027-03-01, replaced_by: player.song_played_v2}`). Pure.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from hourmark.topics import is_event_type

from .document import is_text
from .refusal import Problem

State = Literal["draft", "active", "deprecated", "blocked"]
REASON_MAX: Final = 500
# What may be said with which state; the first are the states in which it makes sense.
_BELONGS: Final = {"reason": ("deprecated", "blocked"), "until": ("deprecated",), "replaced_by": ("deprecated", "blocked")}


class LifecycleFacts(BaseModel):
    """`until`: a date like 2027-03-01, from which on senders must not rely on it; nothing happens by itself on that day."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    state: State
    reason: str | None = Field(None, min_length=1, max_length=REASON_MAX)
    until: str | None = None
    replaced_by: str | None = None


def _spelt_out(value: object) -> object:
    return {"state": value} if isinstance(value, str) else value


def _short(value: LifecycleFacts) -> Any:
    said = value.model_dump(exclude_none=True)
    return value.state if len(said) == 1 else said


Lifecycle = Annotated[LifecycleFacts, BeforeValidator(_spelt_out), PlainSerializer(_short)]
ACTIVE: Final = LifecycleFacts(state="active")


def problems(event: str, said: LifecycleFacts) -> list[Problem]:
    """What is wrong with a lifecycle, by itself."""
    found = []
    for name, states in _BELONGS.items():
        if getattr(said, name) is not None and said.state not in states:
            told = f"{name} says nothing about an event type that is {said.state}"
            found.append(Problem(f"/lifecycle/{name}", "lifecycle", told, f"remove it; it belongs to {' and '.join(states)}"))
    if said.reason is not None and not is_text(said.reason):
        found.append(Problem("/lifecycle/reason", "lifecycle", "the reason is no line of text", "say in a line why"))
    if said.until is not None and not _is_date(said.until):
        found.append(Problem("/lifecycle/until", "date", f"{said.until!r:.60} is no date", "write it like 2027-03-01"))
    if said.replaced_by is not None and not is_event_type(said.replaced_by):
        told = f"{said.replaced_by!r:.120} is no name of an event type"
        found.append(Problem("/lifecycle/replaced_by", "event_name", told, "name the event type that takes its place"))
    elif said.replaced_by == event:
        told = f"{event} cannot replace itself"
        found.append(Problem("/lifecycle/replaced_by", "lifecycle", told, "name another event type, or leave it out"))
    return found


def transition(before: str, after: str) -> list[Problem]:
    """Why an event type that is `before` may not become `after`. Every way is open but the one back to draft."""
    if after != "draft" or before == "draft":
        return []
    told = f"it is {before}, and events of it may exist: it cannot become a draft again"
    return [Problem("/lifecycle", "lifecycle_transition", told, "block it with a reason, or declare another event type")]


def lifts_a_block(before: str, after: str) -> bool:
    """Does this change undo somebody's decision to block? Then its message must say why."""
    return before == "blocked" and after != "blocked"


def state_of(document: Any) -> str:
    """The state in a stored declaration, whichever way it is written."""
    said = document.get("lifecycle", "active")
    return str(said["state"] if isinstance(said, dict) else said)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
