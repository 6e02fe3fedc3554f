"""Commands that read the lake: `hours` shows which hours of an event type are sealed, `query` asks DuckDB over the sealed ones."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(hours)
    app.command()(query)


def hours(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many sealed hours, the newest.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show the hours of a type, sealed and open."""
    from . import hour_rows
    from .addresses import find
    from .output import console, print_json, table

    at = find("lake")
    rows = hour_rows.of_type(at, event_type, last)
    if as_json:
        print_json({"type": event_type, "hours": [row._asdict() for row in rows]})
        return
    shown = [(r.hour, r.state, r.rows, r.duplicates, r.skewed, r.delay_text, r.audit) for r in rows]
    columns = ("hour (UTC)", "state", "rows", "duplicates removed", "skewed", "sealed after", "audit")
    console().print(table(columns, shown, title=event_type, right=columns[2:6]))


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement; each event type is a view, dots become underscores.")],
    as_json: Annotated[bool, typer.Option("--json", help="Rows as one JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Rows as CSV with a header line.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows shown as a table; --json and --csv give all.")] = 100,
) -> None:
    """Ask DuckDB over the sealed hours.

    Each event type is a view: flight_departed, or "flight.departed" in double quotes.
    """
    from . import sealed
    from .addresses import find
    from .failures import WrongInput
    from .output import console, print_json, table

    if as_json and as_csv:
        raise WrongInput("--json and --csv exclude each other")
    columns, rows = sealed.ask(find("lake").lake_path, sql)
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
        console().print(table(columns, [[_shown(value) for value in row] for row in rows[:limit]], right=numbers))
        if len(rows) > limit:
            console(stderr=True).print(f"{limit:,} of {len(rows):,} rows; --limit shows more, --csv and --json give all")


def _shown(value: object) -> object:
    return f"{value:,.4g}" if isinstance(value, float) else value
