"""A folder of declarations as a git branch has had it: at one commit, and every version of every schema before it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from registry.compile import canonical

from .folder import Fault, Folder, Source, load
from .git import Blobs, Change, Repository, State
from .trees import SCHEMAS, Disk, Unreadable, is_wanted, shown

MAX_COMMITS = 1000
MAX_LINKS = 5

Versions = dict[str, list[tuple[str, dict[str, Any]]]]  # event type → (what names the version, payload schema), newest first


class Past(NamedTuple):
    """What stood at the commit compared with. `gone_counts`: event types whose absence today is this work's doing."""

    label: str
    sources: dict[str, Source]
    versions: Versions
    gone_counts: frozenset[str]
    notes: tuple[str, ...] = ()


class GitTree:
    """The folder at one commit; `state` may be moved on to older ones."""

    def __init__(self, repository: Repository, blobs: Blobs, folder: Path, state: State) -> None:
        self._repository, self._blobs, self._folder, self.state = repository, blobs, folder, state
        self._prefix = repository.inside(str(folder / "x")).rpartition("/")[0]

    def paths(self) -> list[str]:
        wanted = (path for path in self.state if self._holds(path))
        return sorted(self.shown(path) for path in wanted if is_wanted(posixpath.basename(path)) and "/." not in f"/{path}")

    def read(self, path: str) -> bytes:
        inside = self._repository.inside(path)
        for _ in range(MAX_LINKS):
            blob = self.state.get(inside)
            body = None if blob is None else self._blobs.read(blob.name)
            if blob is None or body is None:
                break
            if not blob.link:
                return body
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(inside), body.decode("utf-8", "surrogateescape")))
        raise Unreadable("it is not in git, or too large")

    def shown(self, path: str) -> str:
        """A path of the repository as messages show it."""
        return shown(self._folder / posixpath.relpath(path, self._prefix or "."))

    def _holds(self, path: str) -> bool:
        return not self._prefix or path.startswith(self._prefix + "/")


def past(disk: Disk, folder: Folder, against: str | None, *, all_versions: bool) -> Past:
    """What the branch `against` (None: where this work left the main branch) says. Raises NoGit, WrongInput."""
    repository = Repository(disk.folder)
    commit = repository.commit(against) if against is not None else repository.default_base()
    label = f"{against or 'commit'} {commit[:9]}" if against != commit else commit[:9]
    place = disk.folder if disk.folder.is_dir() else disk.folder.parent
    folders = _folders(repository, place, folder)
    with Blobs(repository) as blobs:
        tree = GitTree(repository, blobs, place, repository.state(commit, folders))
        sources = {source.event: source for source in _sources(tree)}
        gone = frozenset(sources) if against is None else _shared(repository, blobs, place, commit, folders)
        versions: Versions = {name: [(commit[:9], source.document["schema"])] for name, source in sources.items() if _has_schema(source)}
        notes = []
        if all_versions:
            changes = list(repository.changes(commit, folders, MAX_COMMITS))
            _walk(tree, changes, versions)
            if len(changes) == MAX_COMMITS:
                notes.append(f"only the last {MAX_COMMITS} commits that touched the folder were looked at")
            if repository.shallow():
                notes.append("this clone is shallow: older versions of the schemas are unknown here")
    return Past(label, sources, versions, gone if disk.folder.is_dir() else frozenset(), tuple(notes))


@contextmanager
def at_commit(place: Path, ref: str) -> Iterator[GitTree]:
    """The folder at a commit, to read single files. Raises NoGit, WrongInput."""
    repository = Repository(place)
    with Blobs(repository) as blobs:
        yield GitTree(repository, blobs, place, repository.state(repository.commit(ref), ["."]))


def _folders(repository: Repository, place: Path, folder: Folder) -> list[str]:
    """Where to look: the folder, and folders elsewhere in the repository whose schemas it uses today."""
    home = posixpath.dirname(repository.inside(str(place / "x"))) or "."
    used = {posixpath.dirname(repository.inside(s.schema_path)) or "." for s in folder.sources if s.schema_path is not None}
    outside = {path for path in used if home != "." and path != home and not path.startswith((home + "/", ".."))}
    return [home, *sorted(outside)]


def _shared(repository: Repository, blobs: Blobs, place: Path, commit: str, folders: list[str]) -> frozenset[str]:
    """Event types of the commit that this work began from: what the other branch has added since is not missing here."""
    base = repository.merge_base(commit)
    if base is None:
        return frozenset()
    return frozenset(source.event for source in _sources(GitTree(repository, blobs, place, repository.state(base, folders))))


def _sources(tree: GitTree) -> Iterator[Source]:
    for path in tree.paths():
        if not path.endswith(SCHEMAS) and (source := _source(tree, path)) is not None:
            yield source


def _source(tree: GitTree, path: str) -> Source | None:
    try:
        found = load(tree, path)
    except Fault:
        return None  # it was not sound then, so nobody reads by it
    return found if found.event else None


def _has_schema(source: Source) -> bool:
    return isinstance(source.document.get("schema"), dict)


def _walk(tree: GitTree, changes: list[Change], versions: Versions) -> None:
    """Undo commit by commit, and keep every schema met on the way once, under the newest commit that had it."""
    seen = {name: {canonical(schema) for _, schema in known} for name, known in versions.items()}
    users: dict[str, set[str]] = {}
    declarations = {path for path in tree.paths() if not path.endswith(SCHEMAS)}
    for path in declarations:
        _remember(_source(tree, path), path, users)
    for number, change in enumerate(changes):
        for path, blob in change.before.items():
            if blob is None:
                tree.state.pop(path, None)
            else:
                tree.state[path] = blob
        touched = {tree.shown(path) for path in change.before}
        again = {path for path in touched if is_wanted(os.path.basename(path)) and not path.endswith(SCHEMAS)}
        again |= {user for path in touched for user in users.get(path, ())}
        label = changes[number + 1].commit[:9] if number + 1 < len(changes) else f"before {change.commit[:9]}"
        for path in sorted(again):
            source = _source(tree, path)
            _remember(source, path, users)
            if source is not None and _has_schema(source):
                text = canonical(source.document["schema"])
                if text not in seen.setdefault(source.event, set()):
                    seen[source.event].add(text)
                    versions.setdefault(source.event, []).append((label, source.document["schema"]))


def _remember(source: Source | None, path: str, users: dict[str, set[str]]) -> None:
    if source is not None and source.schema_path is not None:
        users.setdefault(source.schema_path, set()).add(path)
