"""The commands of the git workflow: `check`, `plan`, `apply`, `diff`, and `events new`. Reads arguments, prints answers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..catalogue import Catalogue
    from .check import Report
    from .plan import Plan

Place = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Folder of declarations, or one file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Server = Annotated[
    str, typer.Option("--server", metavar="URL", help="This registry; otherwise the running stack's or HOURMARK_REGISTRY_URL.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Block the types of --owner that are gone from the folder.")]
Owner = Annotated[str, typer.Option("--owner", metavar="TEAM", help="Whose types --prune is about.")]


class Format(StrEnum):
    """How `check` answers."""

    terminal = "terminal"
    json = "json"
    github = "github"
    junit = "junit"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(check)
    app.command()(plan)
    app.command()(apply)
    app.command()(diff)


def check(
    folder: Place = Path(),
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="REF", help="Branch, tag or commit, not where this work left the main branch."),
    ] = None,
    history: Annotated[bool, typer.Option("--history/--no-history", help="Also against all older versions that the branch had.")] = True,
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Not git: this registry (`here`: the running stack's).")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to answer.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The answer goes here, a summary to the terminal.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Would these declarations be accepted? Nothing is changed, and without --server no server is asked."""
    from ..failures import ANSWER_IS_NO, WrongInput
    from .check import offline, online
    from .trees import Disk

    if server and against is not None:
        raise WrongInput("--server and --against exclude each other", remedy="compare with git or with the registry")
    disk = Disk(folder)
    report = online(disk, registry_at(server)) if server else offline(disk, against, all_versions=history)
    _answer(report, Format.json if as_json else form, output, folder)
    if not report.ok:
        raise typer.Exit(ANSWER_IS_NO)


def plan(folder: Place = Path(), prune: Prune = False, owner: Owner = "", server: Server = "", as_json: Json = False) -> None:
    """What would `apply` change at the registry, and who reads and sends it? Nothing is changed."""
    from ..failures import ANSWER_IS_NO
    from ..output import print_json
    from .plan import as_json as plan_json

    found = _planned(folder, server, prune, owner)
    if as_json:
        print_json(plan_json(found))
    else:
        _print_plan(found)
    if found.refused:
        raise typer.Exit(ANSWER_IS_NO)


def apply(  # noqa: PLR0913  each option of a command is a parameter
    folder: Place = Path(),
    wait: Annotated[str, typer.Option("--wait", metavar="SPAN", help="So long, until all live nodes work by each: 10s, 500ms.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    prune: Prune = False,
    owner: Owner = "",
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept with each revision.")] = "",
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Make the registry say what the folder says. Plans, asks, and declares each type only if nobody has changed it meanwhile."""
    from . import applying

    wait_s = applying.span(wait)
    found = _planned(folder, server, prune, owner)
    if not as_json:
        _print_plan(found)
    applying.run(found, registry_at(server), applying.Wishes(wait_s, yes, message, as_json))


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="FILE, REF:FILE in git, TYPE or TYPE@REVISION at the registry.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    server: Server = "",
    as_json: Json = False,
) -> None:
    """What differs between two declarations, and may the second follow the first?"""
    from ..failures import ANSWER_IS_NO
    from ..output import console, escaped, print_json
    from .diff import compare
    from .folder import Finding
    from .plan_text import steps
    from .render import said

    found = compare(old, new, lambda: registry_at(server))
    if as_json:
        print_json(found.as_json())
    else:
        lines = [f"[bold]{escaped(found.old.label)}[/] → [bold]{escaped(found.new.label)}[/]", *steps(found.steps)]
        for problem in found.problems:
            lines += ["", *said(Finding("error", found.new.label, 0, "", problem))]
        verdict = "they say the same" if not found.steps else "no: the second may not follow the first" if found.problems else "compatible"
        for line in [*lines, "", verdict]:
            console().print(line, soft_wrap=True)
    if found.problems:
        raise typer.Exit(ANSWER_IS_NO)


def _planned(folder: Path, server: str, prune: bool, owner: str) -> Plan:
    from ..addresses import find
    from ..failures import WrongInput
    from .plan import plan as look
    from .readers import readers
    from .senders import senders
    from .trees import Disk

    if prune != bool(owner):
        raise WrongInput("--prune and --owner belong together", remedy="write --prune --owner TEAM")
    disk = Disk(folder)
    if prune and not (folder.is_dir() and disk.paths()):
        raise WrongInput("nothing is there: pruning by it would block all of them", where=str(folder), remedy="name the whole folder")
    found = look(disk, registry_at(server), prune_owner=owner)
    touched = [item.event for item in found.items + found.prunes if item.state != "identical" and item.revision]
    return found._replace(readers=readers(find(), touched), senders=senders(find(), touched))


def _print_plan(found: Plan) -> None:
    from ..output import console
    from .plan_text import lines

    out = console()
    for line in lines(found):
        out.print(line, soft_wrap=True)


def registry_at(server: str) -> Catalogue:
    """The registry of this address, else (empty or `here`) the one that the stack or the environment names."""
    from ..addresses import find
    from ..catalogue import Catalogue

    return Catalogue(server if server not in ("", "here") else find("registry").registry)


def _answer(report: Report, form: Format, output: Path | None, folder: Path) -> None:
    import sys

    from ..failures import WrongInput
    from ..output import console
    from .render import FORMATS, from_root, terminal

    if form is Format.github:
        report = from_root(report, folder)
    if form is Format.terminal:
        if output is None:
            out = console()
            for line in terminal(report):
                out.print(line, soft_wrap=True)
            return
        from rich.text import Text

        text = "".join(f"{Text.from_markup(line).plain}\n" for line in terminal(report))
    else:
        text = FORMATS[form](report)
    if output is None:
        sys.stdout.write(text)
        return
    from .render import summary

    try:
        output.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as exc:
        raise WrongInput(f"cannot write: {getattr(exc, 'strerror', None) or exc}", where=str(output)) from exc
    console().print(summary(report), markup=False, soft_wrap=True)
