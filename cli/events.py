"""Commands about event types: `declare` gives declarations to the registry, `events` lists or shows what is declared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .workflow.new import new

if TYPE_CHECKING:
    from .catalogue import Catalogue


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
    app.add_typer(events)


def declare(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML declarations, or folders of them.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until every live node works by them.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds --wait may take for each.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Declare event types from YAML files.

    Many are declared side by side; one that is refused does not keep the others back.
    """
    from .addresses import find
    from .catalogue import Catalogue
    from .declarations import read
    from .failures import ANSWER_IS_NO
    from .output import console, print_json, table

    declarations = [declaration for source in sources for declaration in read(source)]
    catalogue = Catalogue(find("registry").registry)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:  # the registry makes topics for many at a time
        answers = list(pool.map(lambda d: catalogue.declare(d["event"], d, timeout if wait else 0.0), declarations))
    if as_json:
        print_json(answers)
    else:
        rows = [(a["event"], a["schema_id"], a["schema_version"], a["revision"], _change(a), _live(a)) for a in answers]
        columns = ("event type", "schema id", "version", "revision", "", "live on")
        console().print(table(columns, rows, right=columns[1:4]))
    if any(answer.get("waited") == "timeout" for answer in answers):
        raise typer.Exit(ANSWER_IS_NO)


def _change(answer: dict[str, Any]) -> str:
    return "created" if answer["created"] else "changed" if answer["changed"] else "as it was"


def _live(answer: dict[str, Any]) -> str:
    if "nodes" not in answer:
        return "-"
    slowest = max((node["ms"] for node in answer["nodes"]), default=0.0)
    late = "; others are still behind" if answer["waited"] == "timeout" else ""
    return f"{len(answer['nodes'])} nodes, the slowest after {slowest:.0f} ms{late}"


@events.command(SHOW, hidden=True)
def show(
    event_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="Show this one in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List the declared event types, or show one."""
    from .addresses import find
    from .catalogue import Catalogue
    from .output import console, print_json, table

    catalogue = Catalogue(find("registry").registry)
    if event_type is not None:
        _show(catalogue, event_type, as_json)
        return
    found = catalogue.all()
    if as_json:
        print_json(found)
        return
    columns = ("event type", "tier", "owner", "partitions", "lifecycle", "description")
    rows = [(e["event"], e.get("tier"), e.get("owner"), e.get("partitions"), e.get("lifecycle"), e.get("description")) for e in found]
    console().print(table(columns, rows, right=["partitions"]) if rows else "nothing is declared yet: `hourmark declare FILE`")


def _show(catalogue: Catalogue, event_type: str, as_json: bool) -> None:
    from .output import console, print_json, table

    found = catalogue.get(event_type)
    if as_json:
        print_json(found)
        return
    declaration = found["declaration"]
    facts = [(name, declaration.get(name)) for name in ("description", "owner", "tier", "lifecycle", "key")]
    facts += [(name.replace("_", " "), found[name]) for name in ("partitions", "schema_id", "schema_version", "revision")]
    facts += [("sdks", ", ".join(declaration.get("sdks", ())))]
    facts += [(f"retention {name}", span) for name, span in declaration.get("retention", {}).items()]
    console().print(table(("", event_type), facts))
    columns = ("field", "type", "meaning")
    fields = declaration["schema"]["fields"]
    console().print(table(columns, [(f["name"], _type_name(f["type"]), f.get("doc", "")) for f in fields], title="payload"))


def _type_name(avro: Any) -> str:
    if isinstance(avro, list):
        return " or ".join(_type_name(branch) for branch in avro)
    if isinstance(avro, dict):
        logical = avro.get("logicalType")
        symbols = f" of {', '.join(avro['symbols'])}" if avro.get("symbols") else ""
        return str(logical or avro.get("type")) + symbols
    return str(avro)
