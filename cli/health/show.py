"""The platform's health for people: addresses, processes, event types, notes, and the verdict as the last lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sinks.blocking import Reason

from ..hour_rows import words
from ..output import console, escaped, marked, table
from ..records import print_list
from .model import Health, Node, Service, TypeState, span
from .types import in_order
from .verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

SHORT: Final = 20  # event types shown, unless more need attention
WORST: Final = 40
NAMED: Final = 3
REMARKS: Final = 12


def services(out: Console, found: Sequence[Service]) -> None:
    colours = {True: "green", False: "red", None: "dim"}
    rows = [(one.name, one.address or None, marked(f"[{colours[one.ok]}]{escaped(one.says)}[/]")) for one in found]
    out.print(table(("", "address", "state"), rows))


def nodes(out: Console, found: Sequence[Node], revision: int | None) -> None:
    of = f" of {revision:,}" if revision is not None else ""
    rows = [(node.room, node.node, node.version or None, f"{node.revision:,}{of}", _state(node), span(node.heard_s)) for node in found]
    if rows:
        out.print(table(("room", "process", "version", "catalogue", "state", "last heard"), rows, right=["catalogue", "last heard"]))


def _state(node: Node) -> Any:
    if not node.live:
        return marked("[dim]gone[/]")
    return marked(f"[red]{escaped(node.says)}[/]") if node.says else marked("[green]ready[/]")


def types(out: Console, found: Sequence[TypeState], recent_s: int, *, every: bool) -> None:
    """What needs attention and the busiest, or every type."""
    if not found:
        return
    ordered = in_order(found)
    attention = sum(state.needs_attention for state in ordered)
    shown = ordered if every else ordered[: max(SHORT, min(attention, WORST))]
    parked = ["parked"] if any(state.parked for state in shown) else []
    columns = ["event type", "sealed until", "open", "rows", f"last {span(recent_s)}", "dedup lag", "sink lag", *parked, ""]
    rows = [
        (
            state.type,
            state.watermark,
            state.open_hours,
            state.newest.rows if state.newest else None,
            state.recent,
            state.lag,
            state.sink_lag,
            *([state.parked] if parked else []),
            marked("[red]!" if state.late_s or state.stalled or state.incomplete else "[yellow]!" if state.parked else ""),
        )
        for state in shown
    ]
    print_list(columns, rows, columns[2:-1])
    for line, names in _remarks(shown).items():
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        out.print(f"{escaped(', '.join(names[:NAMED]) + more)}: {escaped(line)}")
    left = ordered[len(shown) :]
    if left:
        worse = sum(state.needs_attention for state in left)
        out.print(f"and {len(left):,} more, {f'of which {worse:,} need attention' if worse else 'all well'}: `--all` shows them")


def _remarks(found: Sequence[TypeState]) -> dict[str, list[str]]:
    """In words what holds them up; types of one trouble are told together."""
    remarks: dict[str, list[str]] = {}
    for state in found:
        for line in _lines(state):
            remarks.setdefault(line, []).append(state.type)
    return dict(list(remarks.items())[:REMARKS])


def _lines(state: TypeState) -> Iterable[str]:
    if state.late_s:
        yield f"an hour is late by {span(state.late_s)}" + (f": {words(state.blocked)}" if state.blocked else "")
    elif any(block.reason != Reason.SEALING for block in state.blocked):
        yield f"an hour waits: {words(state.blocked)}"
    if state.stalled:
        yield "dedup has records before it since more than two minutes"
    if state.incomplete:
        yield f"sealed incomplete: {', '.join(state.incomplete[-3:])}"


def notes(out: Console, health: Health) -> None:
    flow = health.flow
    if flow.parked_at_most:
        named = ", ".join(f"{name} ({count:,})" for name, count in sorted(flow.undeclared.items(), key=lambda one: -one[1])[:3])
        of = f", of {escaped(named)}" if named else ""
        out.print(f"up to {flow.parked_at_most:,} events wait for a declaration{of}: `hourmark parked`")
    if flow.rejected:
        out.print(f"{flow.rejected:,} events were rejected in the last {span(flow.recent_s)}: `hourmark rejected TYPE`")
    if flow.unknown:
        out.print(f"{flow.unknown:,} event types have had no hour sealed lately, and were too many to look at: `hourmark hours`")


def verdict(out: Console, found: Verdict) -> None:
    out.print(f"[{'green' if found.well else 'bold red'}]{escaped(found.says)}[/]")
    for trouble in found.troubles:
        out.print(f"[red]-[/] {escaped(trouble.what)}\n  see docs/runbooks/{trouble.page}.md")


def flow(out: Console, health: Health, *, processes: bool, every: bool) -> None:
    """What is told through Kafka: nothing while it is away."""
    if not health.well("kafka"):
        out.print(f"{len(health.types):,} event types; without Kafka nothing can be told of them, nor of the processes\n")
        return
    if processes:
        nodes(out, health.nodes, health.revision)
    types(out, health.types, health.flow.recent_s, every=every)
    notes(out, health)


def platform(health: Health, found: Verdict, *, every: bool, length: str) -> None:
    """All of it, for a platform that is no native stack of this machine."""
    out = console()
    if length:
        out.print(length)
    services(out, health.services)
    flow(out, health, processes=True, every=every)
    verdict(out, found)
