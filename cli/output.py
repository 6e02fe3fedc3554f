"""How the command line speaks: rich on a terminal, plain text in a pipe, one JSON document with --json. Errors go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def console(*, stderr: bool = False) -> Console:
    """A console for this stream; outside a terminal as wide as its lines need, so that tables are not cut."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, emoji=False, soft_wrap=not stream.isatty(), width=None if stream.isatty() else 200)


def print_json(value: Any) -> None:
    """One JSON document on stdout; unknown types (times, decimals, uuids) as text."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def json_line(value: Any) -> str:
    """The same on one line, for streams of documents."""
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat is not None else str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", right: Sequence[str] = ()) -> Table:
    """A rich table; columns named in `right` are aligned right. Cells are plain text or `marked`, None is shown as a dash."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(_plain_text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def cell(value: Any) -> Any:
    """A value as a cell shows it: text, or what rich can show."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return value if hasattr(value, "__rich_console__") else _plain_text(str(value))


def _plain_text(text: str) -> Text:
    """Data as it is: its square brackets are no markup, and its control characters do nothing to the terminal."""
    from rich.text import Text

    return Text(text.translate(_CONTROL))


def escaped(text: str) -> str:
    """Data to stand amid our own markup; its brackets and control characters do nothing."""
    from rich.markup import escape

    return escape(text.translate(_CONTROL))


def marked(text: str) -> Text:
    """Our own words with rich markup, as a cell of a table."""
    from rich.text import Text

    return Text.from_markup(text)


def complain(said: Sequence[tuple[str, str]]) -> None:
    """Print an error's lines on stderr."""
    from rich.markup import escape

    out = console(stderr=True)
    for label, text in said:
        style = "bold red" if label == "error" else "bold"
        out.print(f"[{style}]{label}:[/] {escape(text)}")
