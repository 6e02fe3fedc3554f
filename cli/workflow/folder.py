"""A folder of declarations as plain data: every file read and parsed, its faults found with file and line. Judges no schema."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from registry.declaration import check
from registry.document import parse_json, parse_yaml
from registry.refusal import Problem, Refused

from ..declarations import replaced_by
from .places import Lines, of_malformed
from .trees import SCHEMAS, Tree, Unreadable

Severity = Literal["error", "warning"]


class Finding(NamedTuple):
    """A problem and where it was written. `severity` error: the answer is no."""

    severity: Severity
    file: str
    line: int
    event: str
    problem: Problem

    def as_json(self) -> dict[str, Any]:
        """The finding with the problem's fields beside its own."""
        return {"severity": self.severity, "file": self.file, "line": self.line, "event": self.event, **msgspec.to_builtins(self.problem)}


class Source(NamedTuple):
    """A declaration and the files it stands in. `document` holds its schema; `schema_path` is None when that is written inline."""

    event: str
    path: str
    schema_path: str | None
    document: dict[str, Any]


class Folder:
    """What a tree holds: `sources` that could be read, in the order of paths, and `findings` about the rest."""

    def __init__(self, tree: Tree) -> None:
        self.sources: list[Source] = []
        self.findings: list[Finding] = []
        self._tree = tree
        self._lines = lru_cache(maxsize=None)(self._lines_of)
        paths = tree.paths()
        for path in paths:
            if not path.endswith(SCHEMAS):
                self._take(path)
        used = {source.schema_path for source in self.sources}
        self.sources = [source for source in self.sources if source.event or source.path not in used]
        self.findings = [finding for finding in self.findings if finding.file not in used]  # a schema may be a .json file
        unread = bool(self.findings)  # a declaration that cannot be read may use any schema
        for path in paths:
            if path.endswith(SCHEMAS) and path not in used and not unread:
                told = Problem("", "unused_schema", "no declaration here uses this schema", "name it in a declaration, or remove it")
                self.findings.append(Finding("warning", path, 1, "", told))

    def sound(self) -> list[Source]:
        """The declarations that the registry would take if they were the first of their names; the others' problems become findings."""
        good = []
        for source in self.sources:
            problems = check(source.document)
            self.findings += [self.finding(source, problem) for problem in problems]
            if not problems:
                good.append(source)
        return good

    def finding(self, source: Source, problem: Problem, severity: Severity = "error") -> Finding:
        """A problem of this declaration, with file and line."""
        file, line = self.place(source, problem.path)
        return Finding(severity, file, line, source.event, problem)

    def place(self, source: Source, pointer: str) -> tuple[str, int]:
        """The file and line of a JSON pointer into the declaration."""
        if source.schema_path is not None and pointer.startswith("/schema/"):
            return source.schema_path, self._lines(source.schema_path).of(pointer.removeprefix("/schema"))
        return source.path, self._lines(source.path).of(pointer)

    def _take(self, path: str) -> None:
        try:
            source = load(self._tree, path)
        except Fault as exc:
            self.findings.append(Finding("error", exc.file, exc.line, "", exc.problem))
        else:
            self.sources.append(source)

    def _lines_of(self, path: str) -> Lines:
        try:
            return Lines(self._tree.read(path))
        except Unreadable:
            return Lines(b"")


class Fault(Exception):
    """A file that holds no declaration, and why."""

    def __init__(self, file: str, line: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.file, self.line, self.problem = file, line, problem


def load(tree: Tree, path: str) -> Source:
    """The declaration in a file, with the schema beside it. Raises Fault."""
    body = _read(tree, path, path, "")
    found = _parsed(path, body, "", json=path.endswith(".json"))
    if not isinstance(found, dict) or not found.keys() & {"event", "schema"}:
        told = Problem("", "declaration", "the file holds no declaration", "write event:, owner:, schema: …; or name another folder")
        raise Fault(path, 1, told)
    event = found.get("event")
    named = found.get("schema")
    if not isinstance(named, str):
        return Source(event if isinstance(event, str) else "", path, None, found)
    schema_path = posixpath.normpath(posixpath.join(posixpath.dirname(path), named))
    text = _read(tree, schema_path, path, "/schema", Lines(body))
    found["schema"] = _parsed(schema_path, text, "/schema", json=True)
    return Source(event if isinstance(event, str) else "", path, schema_path, found)


def _read(tree: Tree, path: str, said_by: str, pointer: str, lines: Lines | None = None) -> bytes:
    try:
        return tree.read(path)
    except Unreadable as exc:
        told = Problem(pointer, "file", f"{path} cannot be read: {exc}", "correct the path" if pointer else "put it right, or remove it")
        raise Fault(said_by, lines.of(pointer) if lines else 1, told) from None


def _parsed(path: str, body: bytes, pointer: str, *, json: bool) -> Any:
    try:
        return parse_json(body) if json else parse_yaml(body)
    except Refused as exc:
        rule, told = exc.problems[0].rule, exc.problems[0].message
        problem = Problem(pointer, rule, told, f"write one well-formed {'JSON' if json else 'YAML'} document in UTF-8")
        raise Fault(path, of_malformed(body, told), problem) from None


def across(folder: Folder, known: Collection[str]) -> list[Finding]:
    """What is wrong between declarations. `known`: event types that exist beside them.

    Two of one name, names whose topics Kafka takes for one another's, and `replaced_by` of a type that nobody declares.
    """
    found: list[Finding] = []
    first: dict[str, Source] = {}
    folded: dict[str, str] = {name.replace(".", "_"): name for name in known}
    for source in folder.sources:
        name = source.event
        if not name:
            continue
        if name in first:
            told = f"{name} is declared in {first[name].path} already"
            found.append(folder.finding(source, Problem("/event", "event_name_twice", told, "keep one of the two files")))
            continue
        first[name] = source
        other = folded.setdefault(name.replace(".", "_"), name)
        if other != name:
            told = f"Kafka takes its topics for those of {other} (dots and underscores count as one)"
            found.append(folder.finding(source, Problem("/event", "event_name_taken", told, "use another name")))
    for source in first.values():
        target = replaced_by(source.document)
        if target and target not in first and target not in known:
            told = f"{target} is not declared here"
            found.append(folder.finding(source, Problem("/lifecycle/replaced_by", "replaced_by", told, "declare it too"), "warning"))
    return found


def once(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in the order of files and lines, each of them one time."""
    found = {(f.file, f.problem.path, f.problem.rule, f.event, f.problem.message): f for f in findings}
    return sorted(found.values(), key=lambda f: (f.file, f.line, f.problem.path))
