"""`hourmark demo`: the whole platform on real data, with faults, and a balance that must be exact."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    events: Annotated[int, typer.Option("--events", min=0, help="About so many events; 0: all 682,699.")] = 0,
    hour_seconds: Annotated[int, typer.Option("--hour-seconds", min=3, max=60, help="Real seconds an hour lasts.")] = 10,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="Kill one dedup worker and one sink worker while it runs.")] = True,
    compose: Annotated[bool, typer.Option("--compose", help="In containers of docker/compose.yaml instead of the native stack.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The balance as one JSON document on stdout, the rest on stderr.")] = False,
) -> None:
    """See the whole platform at work on real data.

    Sends a year of New York flights and weather through a platform of its own, kills workers on the way, and strikes the balance.
    Exit code 1 when one event is missing or doubled.
    """
    from .run import Plan, run

    raise typer.Exit(run(Plan(events, hour_seconds, kill, as_json, compose)))
