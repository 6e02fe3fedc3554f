"""`hourmark diff`: two declarations, from files, git or the registry, side by side; and may the second follow the first?"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hourmark.topics import is_event_type
from registry.declaration import check
from registry.refusal import Problem

from ..failures import WrongInput
from .delta import Step, changes
from .folder import Fault, load
from .git import NoGit
from .history import GitTree, at_commit
from .trees import Disk, Unreadable
from .verdict import against, complete

if TYPE_CHECKING:
    from ..catalogue import Catalogue

_STORED = re.compile(r"([a-z0-9_.]+)(?:@(\d{1,18}))?")


class Side(NamedTuple):
    """One of the two. `label`: as the user named it, or more exact."""

    label: str
    document: dict[str, Any]


class Comparison(NamedTuple):
    """`problems`: why `new` may not follow `old`."""

    old: Side
    new: Side
    steps: list[Step]
    problems: list[Problem]

    def as_json(self) -> dict[str, Any]:
        import msgspec

        steps, problems = [step._asdict() for step in self.steps], msgspec.to_builtins(self.problems)
        return {"ok": not problems, "old": self.old.label, "new": self.new.label, "changes": steps, "problems": problems}


def compare(old: str, new: str, catalogue: Callable[[], Catalogue]) -> Comparison:
    """Raises WrongInput for a side that is not there or not sound, Unreachable when the registry is needed and away."""
    before, after = side(old, catalogue), side(new, catalogue)
    steps = changes(complete(before.document), complete(after.document))
    return Comparison(before, after, steps, against(after.document, before.document, [(before.label, before.document["schema"])]))


def side(name: str, catalogue: Callable[[], Catalogue]) -> Side:
    """`FILE`, `REF:PATH`, `TYPE` or `TYPE@REVISION`. Raises WrongInput, Unreachable."""
    found = _file(name) or _in_git(name) or _stored(name, catalogue)
    if found is None:
        remedy = "name a FILE, REF:FILE in git, or TYPE, TYPE@REVISION at the registry"
        raise WrongInput(f"{name!r:.200} is nothing that can be compared", remedy=remedy)
    problems = check(found.document)
    if problems:
        said = [f"  - {problem.path or 'declaration'}: {problem.message}; {problem.fix}" for problem in problems]
        raise WrongInput("\n".join(["the declaration is not sound", *said]), where=found.label)
    return found


def _file(name: str) -> Side | None:
    path = Path(name)
    try:
        if not path.is_file():
            return None
    except (OSError, ValueError):
        return None
    disk = Disk(path)
    return _loaded(lambda: load(disk, disk.paths()[0]).document, name)


def _in_git(name: str) -> Side | None:
    ref, colon, path = name.partition(":")
    if not colon or not ref or not path:
        return None
    try:
        with at_commit(Path.cwd(), ref) as tree:
            here = path if _has(tree, path) else tree.shown(path)  # git itself counts from the repository's root
            return _loaded(lambda: load(tree, here).document, name)
    except NoGit as exc:
        raise WrongInput(f"git does not have it: {exc}", where=name) from None


def _has(tree: GitTree, path: str) -> bool:
    try:
        tree.read(path)
    except Unreadable:
        return False
    return True


def _loaded(read: Callable[[], dict[str, Any]], name: str) -> Side:
    try:
        return Side(name, read())
    except Fault as exc:
        raise WrongInput(exc.problem.message, where=f"{exc.file}:{exc.line}", remedy=exc.problem.fix) from None


def _stored(name: str, catalogue: Callable[[], Catalogue]) -> Side | None:
    found = _STORED.fullmatch(name)
    if found is None or not is_event_type(found[1]):
        return None
    event, revision = found[1], found[2]
    registry = catalogue()
    if revision is None:
        current = registry.get(event)
        return Side(f"{event}@{current['revision']}", current["declaration"])
    registry.require(event)
    return Side(name, registry.ask("GET", f"/v1/events/{event}/revisions/{revision}")["declaration"])
