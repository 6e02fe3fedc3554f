"""Rows for people, whatever their width: a table where it fits, else one field a line; long lists without the cost of a drawn table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from .output import cell, console, table

if TYPE_CHECKING:
    from rich.console import Console

RULE: Final = "─"
MANY: Final = 500  # rows beyond which drawing a table takes seconds


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """On stdout: a table, or records where it is too wide. Cells as in `output.table`."""
    out = console()
    if _fits(out, columns, rows, right):
        print_list(columns, rows, right)
        return
    for line in records(columns, rows):
        out.print(line, soft_wrap=True)


def print_list(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """On stdout, a row a line, never a name in two pieces, however many there are."""
    out = console()
    if len(rows) <= MANY and _fits(out, columns, rows, right):
        out.print(table(columns, rows, right=right))
        return
    for text in ("", *lines(columns, rows, right), ""):
        out.print(text, soft_wrap=True, markup=False)


def _fits(out: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str]) -> bool:
    from rich.measure import Measurement

    return Measurement.get(out, out.options.update(width=1_000_000), table(columns, rows[:MANY], right=right)).maximum <= out.width


def records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Any]:
    """A headline for each row, then a line for each field, names aligned. Lines of a value with several stand below one another."""
    from rich.cells import cell_len
    from rich.text import Text

    names = [cell(name) for name in columns]
    widths = [cell_len(name.plain) for name in names]
    most = max(widths, default=0)
    for number, row in enumerate(rows, 1):
        head = f"{RULE}[ {number:,} ]"
        yield Text(head + RULE * max(3, most + 2 - len(head)), style="dim")
        for name, width, value in zip(names, widths, row, strict=True):
            text = _plain(value).replace("\n", "\n" + " " * (most + 2))
            yield Text.assemble((name.plain, "bold"), " " * (most - width + 2), text)
    if not rows:
        yield Text(f"no rows; columns: {', '.join(name.plain for name in names)}")


def lines(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> Iterator[str]:
    """The same cells in columns of spaces."""
    body = [[_plain(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *body, strict=True)]
    for row in [list(columns), *body]:
        told = [text.rjust(width) if name in right else text.ljust(width) for name, text, width in zip(columns, row, widths, strict=True)]
        yield "  ".join(told).rstrip()


def _plain(value: Any) -> str:
    shown = cell(value)
    return shown if isinstance(shown, str) else shown.plain if hasattr(shown, "plain") else str(shown)
