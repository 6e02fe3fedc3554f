"""Reads declarations from YAML and JSON files and folders, and checks them here, before the registry is asked."""

from __future__ import annotations

from collections.abc import Sequence
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


def _one(file: Path) -> dict[str, Any]:
    try:
        found = load_file(file)
        problems: Sequence[Problem] = check(found)
    except Refused as exc:
        problems = exc.problems
    if problems:
        raise WrongInput("\n".join(["the declaration is not sound", *map(said, problems)]), where=str(file))
    return found
