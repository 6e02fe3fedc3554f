"""Commands that read the lake: `hours` shows which hours of an event type are sealed, `query` asks DuckDB over the sealed ones."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(hours)
    app.command()(query)


def hours(
    event_type: Annotated[str, typer.Argument(metavar="[TYPE]", help="Event type, like flight.departed; by default all, in short.")] = "",
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many sealed hours, the newest.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show the hours of a type, sealed and open, and what blocks the open ones.

    Without a type: how far each is sealed, and how long after their ends its hours were. The lake alone is enough; what Kafka, the
    registry and the workers say is added when they answer.
    """
    from . import hour_rows
    from .addresses import find
    from .output import console, print_json, table

    at = find("lake")
    if not event_type:
        _all_types(as_json)
        return
    store = hour_rows.store_of(at)
    around = hour_rows.surroundings(at, [event_type])
    hour_rows.require_type(store, at, event_type, around)
    rows = hour_rows.of_type(at, event_type, last, around)
    short = hour_rows.progress(store, at, event_type, around)
    if as_json:
        print_json(short.as_json() | {"hours": [row.as_json() for row in rows], "unknown": around.trouble})
        return
    shown = [
        (r.hour, r.state, r.rows, r.duplicates, r.skewed, r.delay_text, r.audit, r.forced or hour_rows.words(r.blocked_by)) for r in rows
    ]
    columns = ("hour (UTC)", "state", "rows", "duplicates removed", "skewed", "sealed after", "audit", "why")
    console().print(table(columns, shown, title=event_type, right=columns[2:6]))
    _tell_trouble(around.trouble)


def _all_types(as_json: bool) -> None:
    from hourmark.hours import label
    from sinks.watermarks import types

    from . import hour_rows
    from .addresses import find
    from .output import console, print_json, table

    at = find("lake")
    store = hour_rows.store_of(at)
    names = types(store)
    around = hour_rows.surroundings(at, names)
    found = [hour_rows.progress(store, at, name, around) for name in names]
    if as_json:
        print_json({"types": [progress.as_json() for progress in found], "unknown": around.trouble})
        return
    rows = []
    for progress in found:
        delays = [hour_rows.seconds(value) for value in progress.delays or (None, None, None)]
        until = None if progress.watermark is None else label(progress.watermark + 1)
        rows.append((progress.type, until, *delays, progress.open_hours, hour_rows.words(progress.blocked) or None))
    columns = ("event type", "sealed until", "last seal after", "p50", "p99", "open hours", "blocked by")
    console().print(table(columns, rows, right=columns[2:6]))
    _tell_trouble(around.trouble)


def _tell_trouble(trouble: str) -> None:
    from .output import console

    if trouble:
        console(stderr=True).print(f"by the lake alone, because not all could be asked: {trouble}", markup=False)


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement; each event type is a view, dots become underscores.")],
    as_json: Annotated[bool, typer.Option("--json", help="Rows as one JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Rows as CSV with a header line.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows shown as a table; --json and --csv give all.")] = 100,
    with_open: Annotated[
        bool, typer.Option("--open", help="Rows of open hours too, up to now. They are not final: the column _final says which.")
    ] = False,
) -> None:
    """Ask DuckDB over the sealed hours.

    Rows that are wider than the terminal (200 characters in a pipe) are shown one field a line.
    Each event type is a view: flight_departed, or "flight.departed" in double quotes.
    """
    from . import preview
    from .addresses import find
    from .failures import WrongInput
    from .output import console, print_json
    from .records import print_rows

    if as_json and as_csv:
        raise WrongInput("--json and --csv exclude each other")
    at = find("lake")
    columns, rows, notes = preview.ask(at, sql) if with_open else preview.ask_sealed(at, sql, hint=not (as_json or as_csv))
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif as_csv:
        import csv
        import sys

        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        numbers = [c for i, c in enumerate(columns) if rows and isinstance(rows[0][i], int | float)]
        print_rows(columns, [[_shown(value) for value in row] for row in rows[:limit]], numbers)
        if len(rows) > limit:
            console(stderr=True).print(f"{limit:,} of {len(rows):,} rows; --limit shows more, --csv and --json give all")
    for note in notes:
        console(stderr=True).print(note, markup=False)


def _shown(value: object) -> object:
    return f"{value:,.4g}" if isinstance(value, float) else value
