"""How the account of a storm is shown: a table in which every number to the right is zero, or what is wrong in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.output import marked, table

from .account import WRONG, Account


def show(out: Any, accounts: Sequence[Account], wrong: Sequence[str], title: str, ending: str) -> bool:
    """`wrong`: what else did not come to pass. True when everything is exact; `ending` is then said last."""
    from rich.markup import escape

    rows = [(a.event_type, a.sent, a.stored, a.copies, a.rows, a.hours, *(_number(a.wrong[name]) for name in WRONG)) for a in accounts]
    columns = ("event type", "sent", "stored", "copies", "rows", "hours", *WRONG)
    out.print(table(columns, rows, title=title, right=columns[1:]))
    for found in accounts:
        for note in found.notes:
            out.print(f"[red]{found.event_type}: {escape(note)}[/]")
    for line in wrong:
        out.print(f"[red]{escape(line)}[/]")
    if wrong or any(found.wrong for found in accounts):
        return False
    stored, hours = sum(a.stored for a in accounts), sum(a.hours for a in accounts)
    out.print(f"[bold green]Exact:[/] {stored:,} events stored, each once, in {hours} sealed hours. {ending}")
    return True


def _number(found: int) -> Any:
    return marked(f"[red]{found:,}[/]") if found else 0
