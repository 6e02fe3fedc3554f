"""`hourmark status`: does everything work, do events flow, do hours close, is every sealed hour complete?

Of the native stack where one is up in HOURMARK_HOME; else of the platform whose addresses are in the environment, by what it publishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from local.status import StackStatus

    from .addresses import Addresses
    from .health.model import Health, Trouble
    from .health.verdict import Verdict


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, with every event type.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every event type, not only those that need attention and the busiest.")] = False,
) -> None:
    """Show whether events flow, hours close and nothing is lost.

    Exit code 1 when something is wrong, 3 when nothing is up or answers.
    """
    from .addresses import configured, stack_file

    if stack_file():
        from local.stack import Stack

        found = Stack().status()
        if found.up or not configured():
            _native(found, as_json=as_json, every=every)
            return
    _platform(as_json=as_json, every=every)


def _platform(*, as_json: bool, every: bool) -> None:
    from .addresses import find
    from .failures import ANSWER_IS_NO, UNREACHABLE
    from .health import show
    from .health.gather import health
    from .health.verdict import verdict
    from .output import print_json

    at = find(*(() if (known := find()).kafka or known.registry else ("kafka", "registry")))
    seen = health(at)
    judged = verdict(seen)
    if as_json:
        print_json(_of_addresses(at, seen) | _json(seen, judged))
    else:
        show.platform(seen, judged, every=every, length=time_lapse(at.hour_seconds, at.hour_anchor))
    if not judged.well:
        raise typer.Exit(ANSWER_IS_NO if seen.reached else UNREACHABLE)


def _native(found: StackStatus, *, as_json: bool, every: bool) -> None:
    from .addresses import Addresses
    from .failures import ANSWER_IS_NO, UNREACHABLE
    from .health import show
    from .health.gather import health
    from .health.verdict import verdict
    from .output import console, print_json

    if not found.up:
        print_json(found.as_json() | {"types": [], "parked_at_most": 0}) if as_json else show_stack(found)
        raise typer.Exit(UNREACHABLE)
    at = Addresses(
        receiver=found.receiver,
        registry=found.registry,
        kafka=found.kafka,
        redis=found.redis,
        lake=found.lake,
        hour_seconds=found.hour_seconds,
        hour_anchor=found.hour_anchor,
    )
    seen = health(at, pages=True)
    judged = verdict(seen, _of_processes(found))
    if as_json:
        print_json(found.as_json() | _json(seen, judged))
    else:
        show_stack(found)
        out = console()
        show.flow(out, seen, processes=False, every=every)
        show.verdict(out, judged)
    if not judged.well:
        raise typer.Exit(ANSWER_IS_NO)


def _json(seen: Health, judged: Verdict) -> dict[str, Any]:
    return {
        "services": [service._asdict() for service in seen.services],
        "revision": seen.revision,
        "nodes": [node._asdict() for node in seen.nodes],
        "types": [state.as_json() for state in seen.types],
        "parked_at_most": seen.flow.parked_at_most,
        "rejected": seen.flow.rejected,
        "recent_seconds": seen.flow.recent_s,
        "verdict": {"well": judged.well, "says": judged.says, "troubles": [trouble.as_json() for trouble in judged.troubles]},
    }


def _of_addresses(at: Addresses, seen: Health) -> dict[str, Any]:
    """What the native stack says of itself, in the same names; a write key is not shown."""
    shown = {("redis" if service.name == "index" else service.name): service.address for service in seen.services}
    return {**shown, "hour_seconds": at.hour_seconds, "write_key": "", "processes": []}


def _of_processes(found: StackStatus) -> list[Trouble]:
    from .health.model import Trouble

    troubles = [Trouble(f"{p.name} {p.why}", "index-lost") for p in found.processes if p.stuck]
    return troubles + [Trouble(f"{p.name} is {p.state}", "process-down") for p in found.processes if p.state != "running"]


def time_lapse(hour_seconds: int, hour_anchor: str) -> str:
    """How long an hour lasts, when it is not one."""
    return "" if hour_seconds == 3600 else f"(time-lapse: an hour lasts {hour_seconds} s, labels from {hour_anchor})"


def show_stack(found: StackStatus) -> None:
    """Addresses and processes of the native stack."""
    from rich.markup import escape

    from .output import console, table

    out = console()
    ready = "[green]ready[/]" if found.ready else "[yellow]not ready[/]" if found.up else "[red]not up[/]; start it with `hourmark up`"
    out.print(f"stack {ready} {time_lapse(found.hour_seconds, found.hour_anchor)}".rstrip())
    addresses = [(name, getattr(found, name)) for name in ("receiver", "registry", "kafka", "redis", "lake", "write_key")]
    out.print(table(("", "address"), [(name.replace("_", " "), value) for name, value in addresses]))
    if found.processes:
        processes = [(p.name, str(p.pid or "-"), p.state, p.ready) for p in found.processes]
        out.print(table(("process", "pid", "state", "ready"), processes, right=["pid"]))
    for stuck in (p for p in found.processes if p.stuck):
        out.print(f"[red]{stuck.name}[/] {escape(stuck.why)}")
