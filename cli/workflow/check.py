"""`hourmark check`: every declaration of a folder judged as the registry would, against git or against the registry itself."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from registry.compile import canonical
from registry.refusal import Problem

from ..declarations import replaced_by
from ..failures import WrongInput
from .folder import Finding, Folder, Source, across, once
from .git import NoGit
from .history import Past, past
from .trees import Disk
from .verdict import against, complete

if TYPE_CHECKING:
    from ..catalogue import Catalogue

SIDE_BY_SIDE = 16
State = Literal["created", "changed", "identical", "refused"]


class Outcome(NamedTuple):
    """What the registry would say to one declaration."""

    event: str
    file: str
    state: State


class Report(NamedTuple):
    """The answer. `compared_with`: in words; `notes`: what could not be known."""

    compared_with: str
    outcomes: list[Outcome]
    findings: list[Finding]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        findings = [finding.as_json() for finding in self.findings]
        events = [outcome._asdict() for outcome in self.outcomes]
        return {"ok": self.ok, "compared_with": self.compared_with, "events": events, "problems": findings, "notes": list(self.notes)}


def offline(disk: Disk, ref: str | None, *, all_versions: bool = True) -> Report:
    """Against a git ref (None: where this work left the main branch). Without any git, soundness only. Raises WrongInput."""
    folder = Folder(disk)
    good = folder.sound()
    try:
        found = past(disk, folder, ref, all_versions=all_versions)
    except NoGit as exc:
        if ref is not None:
            raise WrongInput(f"there is nothing to compare with: {exc}", where=str(disk.folder)) from None
        found = Past("nothing", {}, {}, frozenset(), (f"not compared with anything: {exc}",))
    findings = folder.findings + across(folder, found.versions.keys() | found.sources.keys())
    states: dict[str, State] = {}
    for source in good:
        before = found.sources.get(source.event)
        problems = against(source.document, before.document if before else None, found.versions.get(source.event, ()))
        findings += [folder.finding(source, problem) for problem in problems]
        states[source.path] = "created" if before is None else "identical" if _same(source, before) else "changed"
    return _report(found.label, folder, findings + _removed(folder, found), states, found.notes)


def online(disk: Disk, catalogue: Catalogue) -> Report:
    """Against the registry. Raises Unreachable, WrongInput."""
    folder = Folder(disk)
    good = folder.sound()
    findings = folder.findings + across(folder, set(catalogue.names()))
    here = {source.event for source in folder.sources}
    states: dict[str, State] = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = list(pool.map(lambda source: asked(catalogue, source, here), good))
    for source, (outcome, problems) in zip(good, answers, strict=True):
        findings += [folder.finding(source, problem) for problem in problems]
        states[source.path] = outcome
    return _report(f"the registry at {catalogue.url}", folder, findings, states, ())


def asked(catalogue: Catalogue, source: Source, here: Collection[str]) -> tuple[State, list[Problem]]:
    """The registry's verdict. A `replaced_by` that is declared in the same go (`here`) is no problem: it is applied first."""
    answer = catalogue.check(source.event, source.document)
    problems = [msgspec.convert(problem, Problem) for problem in answer.get("problems") or ()]
    if any(problem.path == "/lifecycle/replaced_by" for problem in problems) and replaced_by(source.document) in here:
        lifecycle = {name: value for name, value in source.document["lifecycle"].items() if name != "replaced_by"}
        answer = catalogue.check(source.event, source.document | {"lifecycle": lifecycle})
        problems = [msgspec.convert(problem, Problem) for problem in answer.get("problems") or ()]
    if answer["ok"]:
        state: State = answer["outcome"]
        return state, []
    return "refused", problems or [Problem("", str(answer["code"]), str(answer["message"]), "do as the message says")]


def _report(label: str, folder: Folder, findings: list[Finding], states: dict[str, State], notes: tuple[str, ...]) -> Report:
    ordered = once(findings)
    bad = {f.event or f.file for f in ordered if f.severity == "error"}
    outcomes = [
        Outcome(source.event, source.path, "refused" if {source.event, source.path} & bad else states.get(source.path, "refused"))
        for source in folder.sources
    ]
    unread = {f.file for f in ordered if not f.event and f.severity == "error"} - {source.path for source in folder.sources}
    outcomes += [Outcome("", path, "refused") for path in unread]
    return Report(label, sorted(outcomes, key=lambda o: o.file), ordered, notes)


def _removed(folder: Folder, found: Past) -> list[Finding]:
    here = {source.event for source in folder.sources}
    new = {_shape(source): source.event for source in folder.sources if source.event not in found.sources}
    warned = []
    for name in sorted(found.gone_counts - here):
        before = found.sources[name]
        renamed = new.get(_shape(before))
        fix = f"to retire it, keep the file and write lifecycle: {{state: deprecated, replaced_by: {renamed or '…'}}} or blocked"
        told = f"{name} is gone from the folder; the registry keeps it as it is"
        if renamed:
            told = f"{name} looks renamed to {renamed}: that is another event type, and the registry keeps the old one as it is"
        warned.append(Finding("warning", before.path, 1, name, Problem("", "event_removed", told, fix)))
    return warned


def _shape(source: Source) -> str:
    schema = source.document.get("schema")
    return canonical(schema.get("fields")) if isinstance(schema, dict) else source.event


def _same(source: Source, before: Source) -> bool:
    try:
        return canonical(complete(source.document)) == canonical(complete(before.document))
    except ValueError:  # what stood there was no sound declaration
        return False
