"""Commands about event types: `declare` gives declarations to the registry, `events` lists or shows what is declared."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import blocking
from .workflow.new import new

if TYPE_CHECKING:
    from .catalogue import Catalogue, Change


SIDE_BY_SIDE = 32
SHOW = "show"


class TypeOrCommand(TyperGroup):
    """`hourmark events flight.departed` shows a type although `events` is a group: what begins with no subcommand goes to `show`.

    No event type is taken for a subcommand: their names hold a dot.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


events = typer.Typer(
    name="events", cls=TypeOrCommand, rich_markup_mode=None, help="List the declared event types; `events TYPE` shows one."
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(declare)
    events.command("new")(new)
    blocking.register(events)
    app.add_typer(events)


def declare(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML declarations, or folders of them.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until every live node works by them.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds --wait may take for each.")] = 15.0,
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept with the revisions.")] = "",
    author: Annotated[str, typer.Option(help="Who; by default HOURMARK_AUTHOR, or your name in git.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Declare event types from YAML files.

    Many are declared side by side, replacements before what they replace; one that is refused does not keep the others back. If somebody
    else changes a type at the same moment, theirs stands and yours is refused.
    """
    from .addresses import find
    from .catalogue import Catalogue, Change
    from .declarations import read_all, waves
    from .failures import ANSWER_IS_NO
    from .output import console, escaped, print_json, table
    from .propagation import behind

    declarations = read_all(sources)
    catalogue = Catalogue(find("registry").registry)
    revision = _revisions(catalogue, len(declarations))

    def one(event_type: str) -> dict[str, Any]:
        change = Change(revision(event_type), message, author)
        if wait and len(declarations) == 1 and not as_json:
            return _aloud(catalogue, declarations[event_type], timeout, change)
        return catalogue.declare(event_type, declarations[event_type], timeout if wait else 0.0, change)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:  # the registry makes topics for many at a time
        answers = [answer for wave in waves(declarations) for answer in pool.map(one, wave)]
    late = {line: None for answer in answers for line in behind(answer)}
    if as_json:
        print_json(answers)
    else:
        rows = [(a["event"], a["schema_id"], a["schema_version"], a["revision"], _change(a), _live(a)) for a in answers]
        columns = ("event type", "schema id", "version", "revision", "", "live on")
        console().print(table(columns, rows, right=columns[1:4]))
    if any(answer.get("waited") == "timeout" for answer in answers):
        console(stderr=True).print("\n".join(["not everywhere yet:", *(f"  {escaped(line)}" for line in late)]))
        raise typer.Exit(ANSWER_IS_NO)


def _revisions(catalogue: Catalogue, types: int) -> Callable[[str], int]:
    """Asks for the current revision of an event type; for many types the list is asked for once."""
    if types <= SIDE_BY_SIDE:
        return catalogue.revision
    known = {entry["event"]: int(entry["revision"]) for entry in catalogue.all()}
    return lambda event_type: known.get(event_type, 0)


def _aloud(catalogue: Catalogue, declaration: dict[str, Any], timeout: float, change: Change) -> dict[str, Any]:
    """Declare one, and say each stage when it is complete."""
    from .output import console, escaped
    from .propagation import line

    out = console()
    out.print(escaped(declaration["event"]))
    return catalogue.declare_aloud(declaration["event"], declaration, timeout, lambda stage: out.print(escaped(line(stage))), change)


def _change(answer: dict[str, Any]) -> str:
    return "created" if answer["created"] else "changed" if answer["changed"] else "as it was"


def _live(answer: dict[str, Any]) -> str:
    if "nodes" not in answer:
        return "-"
    rooms = ", ".join(f"{said['stage']} {said['applied']}/{said['of']}" for said in answer["stages"] if "of" in said)
    slowest = max((node["ms"] for node in answer["nodes"]), default=0.0)
    return f"{rooms or 'no node yet'}, the slowest after {slowest:.0f} ms"


@events.command(SHOW, hidden=True)
def show(
    event_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="Show this one in full.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Who changed it when and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List the declared event types, or show one."""
    from . import event_page
    from .addresses import find
    from .catalogue import Catalogue
    from .failures import WrongInput
    from .output import console, print_json, table

    if history and event_type is None:
        raise WrongInput("--history is of one event type", remedy="`hourmark events TYPE --history`")
    catalogue = Catalogue(find("registry").registry)
    if event_type is not None:
        page = event_page.history if history else event_page.show
        page(catalogue, event_type, as_json=as_json)
        return
    found = catalogue.all()
    if as_json:
        print_json(found)
        return
    columns = ("event type", "tier", "owner", "partitions", "lifecycle", "description")
    rows = [(e["event"], e.get("tier"), e.get("owner"), e.get("partitions"), e.get("lifecycle"), e.get("description")) for e in found]
    console().print(table(columns, rows, right=["partitions"]) if rows else "nothing is declared yet: `hourmark declare FILE`")
