"""Reads declarations from YAML and JSON files and folders, and checks them here, before the registry is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.declaration import check, load_file
from registry.refusal import Problem, Refused

from .failures import WrongInput
from .refusals import said

SUFFIXES = (".yaml", ".yml", ".json")


def read(source: Path) -> list[dict[str, Any]]:
    """All declarations in a file or folder, checked. Raises WrongInput with every problem of the first faulty one."""
    if source.is_dir():
        files = sorted(file for file in source.rglob("*") if file.suffix in SUFFIXES)
        if not files:
            raise WrongInput("no declaration in this folder", where=str(source), remedy=f"declarations end in {', '.join(SUFFIXES)}")
    elif source.exists():
        files = [source]
    else:
        raise WrongInput("no such file or folder", where=str(source))
    return [_one(file) for file in files]


def read_all(sources: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The declarations of several files and folders, by event type. Raises WrongInput, also when one type is declared twice."""
    found: dict[str, dict[str, Any]] = {}
    for source in sources:
        for declaration in read(source):
            if found.setdefault(declaration["event"], declaration) is not declaration:
                raise WrongInput(f"{declaration['event']} is declared twice", where=str(source), remedy="keep one of the two")
    return found


def replaced_by(declaration: Mapping[str, Any]) -> str:
    """The event type that takes this one's place; empty when none is named."""
    lifecycle = declaration.get("lifecycle")
    target = lifecycle.get("replaced_by") if isinstance(lifecycle, dict) else None
    return target if isinstance(target, str) else ""


def waves(declarations: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Their event types in groups, so that what replaces another one stands in an earlier group than that."""
    left, found = dict(declarations), []
    while left:
        wave = [name for name, declaration in left.items() if replaced_by(declaration) not in left or replaced_by(declaration) == name]
        wave = wave or list(left)  # a circle: the registry says what it thinks of that
        found.append(wave)
        for name in wave:
            del left[name]
    return found


def _one(file: Path) -> dict[str, Any]:
    try:
        found = load_file(file)
        problems: Sequence[Problem] = check(found)
    except Refused as exc:
        problems = exc.problems
    if problems:
        raise WrongInput("\n".join(["the declaration is not sound", *map(said, problems)]), where=str(file))
    return found
