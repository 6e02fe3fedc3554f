"""`hourmark events block` and `unblock`: the emergency brake. A folder in git that says otherwise takes it back at its next apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .catalogue import Catalogue

WAIT_S = 15.0


def register(group: typer.Typer) -> None:
    """Add these commands to `hourmark events`."""
    group.command()(block)
    group.command()(unblock)


def block(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    reason: Annotated[str, typer.Option("--reason", help="What senders are told, and the message of the revision.")],
    replaced_by: Annotated[str, typer.Option(metavar="TYPE", help="What they shall send instead.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Refuse the events of a type from now on, at every receiver, and tell senders why."""
    said = {"state": "blocked", "reason": reason} | ({"replaced_by": replaced_by} if replaced_by else {})
    _turn(event_type, said, reason, as_json=as_json)


def unblock(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    message: Annotated[str, typer.Option("--message", "-m", help="Why it may be sent again; kept with the revision.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Accept the events of a blocked type again."""
    _turn(event_type, "active", message, as_json=as_json)


def _turn(event_type: str, lifecycle: Any, message: str, *, as_json: bool) -> None:
    from .addresses import find
    from .catalogue import Catalogue
    from .failures import ANSWER_IS_NO
    from .output import console, print_json

    answer = _replace(Catalogue(find("registry").registry), event_type, lifecycle, message)
    if as_json:
        print_json(answer)
    else:
        state = lifecycle if isinstance(lifecycle, str) else lifecycle["state"]
        live = f"{len(answer['nodes'])} nodes" if answer["waited"] == "complete" else "not all nodes yet: see `hourmark status`"
        console().print(f"{event_type} is {state} (revision {answer['revision']}), applied by {live}")
    if answer["waited"] == "timeout":
        raise typer.Exit(ANSWER_IS_NO)


def _replace(catalogue: Catalogue, event_type: str, lifecycle: Any, message: str) -> dict[str, Any]:
    current = catalogue.get(event_type)
    return catalogue.replace(event_type, current["declaration"] | {"lifecycle": lifecycle}, current["revision"], WAIT_S, message)
