"""What the demo says at its end: the balance, the answer in tables and bars, where the files are, what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cli.output import marked, table

from .balance import Account, percentile
from .question import Answer

BAR_WIDTH = 40


def balance_json(accounts: Sequence[Account], seconds: float) -> dict[str, Any]:
    """The balance for machines."""
    return {"balances": not any(a.faults for a in accounts), "seconds": round(seconds, 1), "types": [asdict(a) for a in accounts]}


def balance(console: Any, accounts: Sequence[Account]) -> None:
    """The table per type, and each fault in words."""
    columns = (
        "event type",
        "sent",
        "acknowledged",
        "copies sent again",
        "copies removed",
        "rows in sealed hours",
        "hours",
        "seal delay p50",
        "p99",
        "audit",
        "balance",
    )
    rows = [
        (
            a.event_type,
            a.sent,
            a.acknowledged,
            a.copies,
            a.removed,
            a.rows,
            a.hours,
            f"{percentile(a.delays, 0.5):.1f} s",
            f"{percentile(a.delays, 0.99):.1f} s",
            marked("[green]equal[/]" if a.audit_equal else "[red]NOT EQUAL[/]"),
            marked("[red]NO[/]" if a.faults else "[green]exact[/]"),
        )
        for a in accounts
    ]
    console.print(table(columns, rows, title="Balance, by event id", right=columns[1:9]))
    for account in accounts:
        for fault in account.faults:
            console.print(f"[red]{account.event_type}: {fault}[/]")


def answer(console: Any, found: Answer) -> None:
    """Both tables, the first with bars."""
    most = max((row.delay for row in found.by_hour), default=1.0)
    rows = [(f"{row.hour:02d}:00", row.flights, f"{row.delay:.1f}", f"{row.late:.0%}", bar(row.delay, most)) for row in found.by_hour]
    columns = ("planned hour", "flights", "average delay, min", "over 15 min late", "")
    console.print(table(columns, rows, title="How late do flights leave New York?", right=columns[1:4]))
    origins = sorted({row.origin for row in found.by_visibility})
    groups = dict.fromkeys(row.visibility for row in found.by_visibility)
    delays = {(row.visibility, row.origin): f"{row.delay:.1f} min" for row in found.by_visibility}
    flights = {group: sum(row.flights for row in found.by_visibility if row.visibility == group) for group in groups}
    lines = [(group, flights[group], *(delays.get((group, origin)) for origin in origins)) for group in groups]
    heads = ["visibility, miles", "flights", *origins]
    console.print(table(heads, lines, title="And in fog? (flights joined with the weather at their airport)", right=heads[1:]))


def bar(value: float, most: float) -> str:
    """A bar of block characters, to an eighth of a character."""
    eighths = max(0, round(value / most * BAR_WIDTH * 8)) if most > 0 else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def what_next(console: Any, lead: str, files: Sequence[Path], an_hour: str) -> None:
    """Where everything is, and commands that work now. `lead`: how `hourmark` is called for what is left."""
    console.print("[bold]The files[/]")
    for file in files:
        console.print(f"  {file}", soft_wrap=True, markup=False)
    console.print("[bold]Try next[/]")
    carriers = "SELECT carrier, count(*) AS flights, avg(delay_minutes) AS delay FROM flight_departed GROUP BY 1 ORDER BY 3 DESC"
    for line in (
        f"{lead} hours flight.departed",
        f'{lead} query "{carriers}"',
        f"{lead} fsck flight.departed --hours {an_hour}..{an_hour}",
        "hourmark up --detach    # a platform of your own, with real hours",
    ):
        console.print(f"  {line}", soft_wrap=True, markup=False)
