"""`hourmark gen`: typed code for producers, from the registry or from a folder of declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .gen.folder import Difference, Language
    from .gen.model import Source

gen = typer.Typer(name="gen", no_args_is_help=True, rich_markup_mode=None, help="Typed code for the event types a program sends.")

Types = Annotated[list[str] | None, typer.Argument(metavar="[TYPE...]", help="Event types; default all, without blocked ones.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the code.")]
From = Annotated[Path | None, typer.Option("--from", help="A declaration or a folder of them, instead of the registry.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when the code is stale.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(gen)


@gen.command("python")
def python(
    types: Types = None, out: Out = Path("hourmark_events"), source: From = None, check: Check = False, as_json: AsJson = False
) -> None:
    """One module per event type: a dataclass for the payload, and `send` for hourmark_client."""
    from .gen.folder import PYTHON

    _run(PYTHON, _sources(types or [], source), out, whole=not types, check=check, as_json=as_json)


@gen.command("typescript")
def typescript(
    types: Types = None, out: Out = Path("hourmark_events"), source: From = None, check: Check = False, as_json: AsJson = False
) -> None:
    """One module per event type: interfaces for the payload, and a small sender for browsers and servers."""
    from .gen.folder import TYPESCRIPT

    _run(TYPESCRIPT, _sources(types or [], source), out, whole=not types, check=check, as_json=as_json)


def _run(language: Language, sources: list[Source], out: Path, *, whole: bool, check: bool, as_json: bool) -> None:
    from .failures import ANSWER_IS_NO
    from .gen.folder import Folder
    from .output import console, print_json

    folder = Folder(out, language, sources, whole=whole)
    found = folder.difference() if check else folder.write()
    if as_json:
        print_json({"folder": str(out), "event_types": [source.event for source in sources], "checked": check, **found._asdict()})
    else:
        console().print(_said(found, out, len(sources), check))
    if check and found:
        raise typer.Exit(ANSWER_IS_NO)


def _said(found: Difference, out: Path, count: int, check: bool) -> str:
    if not found:
        return f"{out}: up to date, {count} event types"
    if not check:
        written = len(found.missing) + len(found.stale)
        gone = f", {len(found.left_over)} removed" if found.left_over else ""
        return f"{out}: {written} files written{gone}, {count} event types"
    words = {"missing": "missing", "stale": "stale", "left_over": "of no event type any more"}
    rows = [f"  {name}: {words[kind]}" for kind, names in found._asdict().items() for name in names]
    return "\n".join([f"{out} is stale: run the same command without --check", *rows])


def _sources(types: list[str], folder: Path | None) -> list[Source]:
    """What to generate from. Raises WrongInput for types nobody declared, Unreachable without a registry."""
    found = _of_files(types, folder) if folder is not None else _of_registry(types)
    return sorted(found, key=lambda source: source.event)


def _of_files(types: list[str], folder: Path) -> Iterable[Source]:
    from registry.compile import wire_schema

    from .catalogue import unknown_type
    from .declarations import read

    declared = {str(declaration["event"]): declaration for declaration in read(folder)}
    for name in types:
        if name not in declared:
            raise unknown_type(name, list(declared))
    wanted = types or [name for name, declaration in declared.items() if _state(declaration) != "blocked"]
    return [_source(declared[name], wire_schema(name, declared[name]["schema"]), 0) for name in dict.fromkeys(wanted)]


def _of_registry(types: list[str]) -> Iterable[Source]:
    from concurrent.futures import ThreadPoolExecutor

    from .addresses import find
    from .catalogue import Catalogue

    catalogue = Catalogue(find("registry").registry)
    wanted = types or [str(entry["event"]) for entry in catalogue.all() if entry["lifecycle"] != "blocked"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(catalogue.get, dict.fromkeys(wanted)))
    return [_source(answer["declaration"], answer["wire_schema"], answer["revision"]) for answer in answers]


def _source(declaration: Mapping[str, Any], wire: Mapping[str, Any], revision: int) -> Source:
    from registry.compile import fingerprint

    from .gen.model import Source, prose

    lifecycle = declaration.get("lifecycle")
    deprecated = ""
    if _state(declaration) == "deprecated":
        facts = lifecycle if isinstance(lifecycle, Mapping) else {}
        said = [str(facts.get("reason") or "")]
        said += [f"until {facts['until']}"] if facts.get("until") else []
        said += [f"use {facts['replaced_by']}"] if facts.get("replaced_by") else []
        deprecated = prose("; ".join(filter(None, said))) or "its owner has deprecated it"
    return Source(str(declaration["event"]), str(declaration.get("description", "")), wire, fingerprint(wire), revision, deprecated)


def _state(declaration: Mapping[str, Any]) -> str:
    lifecycle = declaration.get("lifecycle", "active")
    return str(lifecycle.get("state", "active") if isinstance(lifecycle, Mapping) else lifecycle)
