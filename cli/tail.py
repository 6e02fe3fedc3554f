"""`hourmark tail`: live records of an event type, decoded, as they come; barriers are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .live import Line


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(tail)


def tail(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    clean: Annotated[bool, typer.Option("--clean", help="Events after deduplication (this is the default).")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Refused events of this type, with the reason.")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Everything Kafka still holds, not only what comes now.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many; 0: until interrupted.")] = 0,
    for_seconds: Annotated[float, typer.Option("--for", min=0.0, help="End after so many seconds; 0: until interrupted.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Follow the live events of a type."""
    from . import live
    from .addresses import find
    from .catalogue import Catalogue
    from .failures import WrongInput

    if clean and rejected:
        raise WrongInput("--clean and --rejected exclude each other")
    at = find("kafka", "registry")
    catalogue = Catalogue(at.registry)
    if not rejected:
        catalogue.require(event_type)
    lines = live.rejected(at, event_type) if rejected else live.clean(at, catalogue, event_type)
    show = _json if as_json else _text
    for line in live.limited(lines.follow(from_start=from_start), count, for_seconds):
        show(line)


def _json(line: Line) -> None:
    from .output import json_line

    print(json_line({**line.facts, "event": line.event}), flush=True)


def _text(line: Line) -> None:
    from rich.markup import escape

    from .output import console, json_line

    payload = {name: value for name, value in line.event.items() if not name.startswith("_")}
    where: Any = f"{line.facts['partition']}:{line.facts['offset']}"
    console().print(f"[dim]{line.when:%H:%M:%S} {where}[/] [bold]{escape(line.title)}[/] {escape(json_line(payload))}", soft_wrap=True)
