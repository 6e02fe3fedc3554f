"""`hourmark fsck`: proves sealed hours again from their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sinks.fsck import Finding, Range
    from sinks.store import Store


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(fsck)


def fsck(
    event_types: Annotated[list[str] | None, typer.Argument(metavar="[TYPE]...", help="Only these event types.")] = None,
    hours: Annotated[str, typer.Option("--hours", metavar="A..B", help="Only these, like 2026-03-01T00..2026-03-01T07.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="A", help="From this hour on.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="B", help="Up to this hour, included.")] = "",
    deep: Annotated[bool, typer.Option("--deep", help="Also the order of the rows, and that each stands in its own hour.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Prove sealed hours again from their files.

    Digests, row counts, extra and missing files, the commit chain against the manifests, ids unique within and between hours.
    Exit code 1 when something is wrong, 3 when the lake cannot be read.
    """
    from sinks.fsck import Range
    from sinks.watermarks import types

    from .addresses import find
    from .failures import ANSWER_IS_NO
    from .hour_rows import require_type, store_of
    from .output import console, marked, print_json, table

    first, last = _span(hours or (f"{since}..{until}" if since or until else ""))
    at = find("lake")
    store = store_of(at)
    for event_type in event_types or ():
        require_type(store, at, event_type)
    checked: list[str] = []
    findings = _prove(store, event_types or types(store), Range(first, last, at.hours if deep else None), checked.append)
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


def _prove(store: Store, event_types: list[str], span: Range, on_progress: Callable[[str], None]) -> list[Finding]:
    """With a bar on a terminal: one step for each hour and one for each type's chains."""
    from sinks.fsck import prove
    from sinks.watermarks import sealed_hours

    total = sum(1 + len(span.of(sealed_hours(store, name))) for name in event_types)
    findings: list[Finding] = []
    with _bar(total) as advance:

        def tell(what: str) -> None:
            on_progress(what)
            advance(what)

        for name in event_types:
            findings += prove(store, name, span, tell)
    return findings


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    from rich.progress import Progress, TextColumn

    from .output import console

    out = console(stderr=True)
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[what]}"), console=out, disable=not out.is_terminal) as bar:
        task = bar.add_task("proving", total=total, what="")
        yield lambda what: bar.update(task, advance=1, what=what)


def _span(text: str) -> tuple[int | None, int | None]:
    """`A..B` as hour numbers, both inclusive; either may be left out, and one hour alone is itself."""
    from hourmark.hours import parse_label

    from .failures import WrongInput

    first, dots, last = text.partition("..")
    try:
        return (parse_label(first) if first else None), (parse_label(last) if last else None if dots or not first else parse_label(first))
    except ValueError as exc:
        raise WrongInput(str(exc), where="--hours", remedy="--hours 2026-03-01T00..2026-03-01T07") from exc
