"""Commands for the native stack: `up`, `down`, `logs`."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(down)
    app.command()(logs)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready; `hourmark down` stops it.")] = False,
) -> None:
    """Start Kafka, Valkey and all services on this machine."""
    from local.stack import Stack

    from .output import console
    from .status import show_stack

    out = console(stderr=True)
    stack = Stack()

    def tell(line: str) -> None:
        out.print(f"[dim]{line}[/]")

    if not detach:
        stack.run(tell)
        return
    stack.up(on_progress=tell)
    show_stack(stack.status())


def down() -> None:
    """Stop everything; data and sealed hours stay."""
    from local.stack import Stack

    from .output import console

    out = console(stderr=True)
    stopped = Stack().down(lambda line: out.print(f"[dim]{line}[/]"))
    out.print("stopped" if stopped else "nothing was up")


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
