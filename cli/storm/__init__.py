"""`hourmark storm`: faults of every kind against a whole stack under load, and an account by id that must be exact."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this command, which `hourmark --help` does not list."""
    app.command(hidden=True)(storm)


def storm(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Faults, one a round (now and then two).")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the faults and their order.")] = 7,
    only: Annotated[str, typer.Option("--only", help="Only these faults, with commas between them.")] = "",
    hour_seconds: Annotated[int, typer.Option("--hour-seconds", min=4, max=60, help="Real seconds an hour lasts.")] = 8,
    index: Annotated[str, typer.Option("--index", help="plain or compact; by default the seed chooses.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="Show the faults and end.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder even when everything is exact.")] = False,
) -> None:
    """Attack a stack of its own under load, then count every event.

    Exit code 1 when one event is lost or doubled, an hour is not complete, or anything else is not as promised.
    """
    from .run import Plan, run, show_faults

    if listed:
        raise typer.Exit(show_faults())
    chosen = index or ("compact", "plain")[seed % 2]
    raise typer.Exit(run(Plan(rounds, seed, tuple(filter(None, only.split(","))), hour_seconds, chosen, keep)))
