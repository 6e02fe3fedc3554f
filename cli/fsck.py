"""`hourmark fsck`: proves sealed hours again from their files."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(fsck)


def fsck(
    event_type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Only this event type.")] = None,
    hours: Annotated[str, typer.Option("--hours", metavar="A..B", help="Only these, like 2026-03-01T00..2026-03-01T07.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Prove sealed hours again from their files.

    Digests, row counts, extra and missing files, the commit chain, unique ids. Exit code 1 when something is wrong.
    """
    raise NotImplementedError
