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
    from sinks.fsck import fsck as prove

    from .addresses import find
    from .failures import ANSWER_IS_NO
    from .hour_rows import require_type, store_of
    from .output import console, marked, print_json, table

    first, last = _span(hours)
    at = find("lake")
    store = store_of(at)
    if event_type is not None:
        require_type(store, at, event_type)
    checked: list[str] = []
    findings = prove(store, event_type, first, last, checked.append)
    if as_json:
        print_json({"checked": checked, "findings": [finding._asdict() for finding in findings]})
    else:
        rows = [(marked(f"[red]{f.code}[/]"), f.type, f.hour, f.path, f.detail) for f in findings]
        if rows:
            console().print(table(("finding", "event type", "hour", "where", "what"), rows))
        proved = sum(": " not in what for what in checked)
        console().print(f"{proved:,} sealed hours checked, {len(findings):,} findings")
    if findings:
        raise typer.Exit(ANSWER_IS_NO)


def _span(text: str) -> tuple[int | None, int | None]:
    """`A..B` as hour numbers, both inclusive; either may be left out, and one hour alone is itself."""
    from hourmark.hours import parse_label

    from .failures import WrongInput

    first, dots, last = text.partition("..")
    try:
        return (parse_label(first) if first else None), (parse_label(last) if last else None if dots or not first else parse_label(first))
    except ValueError as exc:
        raise WrongInput(str(exc), where="--hours", remedy="--hours 2026-03-01T00..2026-03-01T07") from exc
