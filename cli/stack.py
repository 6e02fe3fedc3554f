"""Commands for the native stack: `up`, `down`, `status`, `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from local.status import StackStatus


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(logs)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready; `hourmark down` stops it.")] = False,
) -> None:
    """Start Kafka, Valkey and all services on this machine."""
    from local.stack import Stack

    from .output import console

    out = console(stderr=True)
    stack = Stack()

    def tell(line: str) -> None:
        out.print(f"[dim]{line}[/]")

    if not detach:
        stack.run(tell)
        return
    stack.up(on_progress=tell)
    _show(stack.status(), [])


def down() -> None:
    """Stop everything; data and sealed hours stay."""
    from local.stack import Stack

    from .output import console

    out = console(stderr=True)
    stopped = Stack().down(lambda line: out.print(f"[dim]{line}[/]"))
    out.print("stopped" if stopped else "nothing was up")


def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """Show addresses, processes, event types.

    Exit code 1 when not all is ready, 3 when nothing is up.
    """
    from local.stack import Stack

    from .addresses import Addresses
    from .failures import ANSWER_IS_NO, UNREACHABLE
    from .held.waiting import most_waiting
    from .output import console, print_json
    from .progress import of_all

    found = Stack().status()
    types = of_all(found) if found.registry_ready and found.kafka_ready else []
    parked = most_waiting(Addresses(kafka=found.kafka)) if found.kafka_ready else 0
    if as_json:
        print_json(found.as_json() | {"types": types, "parked_at_most": parked})
    else:
        _show(found, types)
        if parked:
            console().print(f"up to {parked:,} events wait for a declaration: `hourmark parked`")
    if not found.ready:
        raise typer.Exit(ANSWER_IS_NO if found.up else UNREACHABLE)


def _show(found: StackStatus, types: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from sinks.blocking import Block

    from .hour_rows import words
    from .output import console, table

    out = console()
    ready = "[green]ready[/]" if found.ready else "[yellow]not ready[/]" if found.up else "[red]not up[/]; start it with `hourmark up`"
    length = "" if found.hour_seconds == 3600 else f" (time-lapse: an hour lasts {found.hour_seconds} s, labels from {found.hour_anchor})"
    out.print(f"stack {ready}{length}")
    addresses = [(name, getattr(found, name)) for name in ("receiver", "registry", "kafka", "redis", "lake", "write_key")]
    out.print(table(("", "address"), [(name.replace("_", " "), value) for name, value in addresses]))
    if found.processes:
        processes = [(p.name, str(p.pid or "-"), p.state, p.ready) for p in found.processes]
        out.print(table(("process", "pid", "state", "ready"), processes, right=["pid"]))
    for stuck in (p for p in found.processes if p.stuck):
        out.print(f"[red]{stuck.name}[/] {escape(stuck.why)}")
    if types:
        rows = [(t["type"], t["watermark"], t["open_hours"], t["lag"], words(Block(**b) for b in t["blocked_by"])) for t in types]
        out.print(table(("event type", "sealed until", "open hours", "lag", "blocked by"), rows, right=["open hours", "lag"]))


def logs(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A process or a kind of them (`receiver`); all by default.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each process from before.")] = 50,
) -> None:
    """The log lines of the stack's processes."""
    from local.stack import Stack

    stack = Stack()
    known = sorted(file.stem for file in (stack.home / "logs").glob("*.log"))
    chosen = _chosen(name, known)
    for process, line in stack.logs(chosen[0] if len(chosen) == 1 else "", lines=lines, following=follow):
        if process in chosen:
            print(line if len(chosen) == 1 else f"{process:<12} {line}", flush=follow)


def _chosen(name: str, known: list[str]) -> list[str]:
    """The processes a name stands for: one, or all of its kind (`receiver`)."""
    from .failures import Unreachable, WrongInput, did_you_mean

    if not known:
        raise Unreachable("there are no logs: no stack was ever up here", remedy="start one with `hourmark up --detach`")
    chosen = [process for process in known if name in ("", process, process.rpartition("-")[0])]
    if not chosen:
        raise WrongInput(f"no process {name}{did_you_mean(name, known)}", remedy=f"there are: {', '.join(known)}")
    return chosen
