"""`hourmark bench`: measures each stage and the whole on this machine, from a checkout."""

from __future__ import annotations

from typing import Annotated

import typer

STAGES = ("receiver", "dedup", "sink", "end_to_end")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(bench)


def bench(
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help=f"Some of: {', '.join(STAGES)}.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=9, help="Rounds of each; the median is shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure every stage on this machine.

    Events per second, CPU per event for each process, and the ratio to the bare client's loop in the same run.
    """
    raise NotImplementedError
