"""How the answer of `check` is written: for people, for programs, as GitHub annotations, as JUnit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from ..output import escaped
from .check import Outcome, Report, State
from .folder import Finding
from .git import NoGit, Repository

_SIGNS: Final = {"identical": "=", "created": "+", "changed": "~", "refused": "!"}
_STYLES: Final = {"identical": "dim", "created": "green", "changed": "yellow", "refused": "bold red"}
_DIRECTIONS: Final = {"backward": "new readers, old events", "forward": "old readers, new events", "both": "both ways"}
_WORDS: Final[dict[State, str]] = {"created": "new", "changed": "changed", "identical": "as they were", "refused": "refused"}


def terminal(report: Report) -> Iterator[str]:
    """Lines with rich markup: each declaration that is not as it was, then each problem, then one line of sums."""
    for outcome in report.outcomes:
        if outcome.state != "identical":
            yield f"[{_STYLES[outcome.state]}]{_SIGNS[outcome.state]} {escaped(outcome.event or outcome.file)}[/] [dim]{outcome.state}[/]"
    for finding in report.findings:
        yield ""
        yield from said(finding)
    if report.outcomes:
        yield ""
    for note in report.notes:
        yield f"[dim]note: {escaped(note)}[/]"
    yield f"{escaped(summary(report))}"


def said(finding: Finding) -> Iterator[str]:
    """One problem in a few lines with rich markup; line 0 is not shown."""
    problem = finding.problem
    style = "bold red" if finding.severity == "error" else "bold yellow"
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    yield f"[{style}]{finding.severity}[/] {escaped(where)} [dim]{escaped(problem.path)} {escaped(problem.rule)}[/]"
    yield f"  {escaped(problem.message)}"
    if problem.against:
        version = f"version {problem.against}" if problem.against.isdigit() else problem.against
        ways = f" ({_DIRECTIONS[problem.direction]})" if problem.direction in _DIRECTIONS else ""
        change = f": {_short(problem.old)} → {_short(problem.new)}" if problem.old is not None or problem.new is not None else ""
        yield f"  [dim]{escaped(f'against {version}{ways}{change}')}[/]"
    yield f"  to do: {escaped(problem.fix)}"


def summary(report: Report) -> str:
    """`3 declarations: 2 as they were, 1 refused; compared with main 1a2b3c4d5`."""
    counts = Counter(outcome.state for outcome in report.outcomes)
    many = len(report.outcomes)
    sums = ", ".join(f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state])
    return f"{many} declaration{'' if many == 1 else 's'}{': ' if sums else ''}{sums}; compared with {report.compared_with}"


def github(report: Report) -> str:
    """Workflow commands: one annotation a problem, with paths as the repository counts them."""
    return (
        "".join(f"{_annotation(finding)}\n" for finding in report.findings) + f"::notice title=hourmark check::{_data(summary(report))}\n"
    )


def _annotation(finding: Finding) -> str:
    problem = finding.problem
    where = f"file={_property(finding.file)},line={finding.line},title={_property(f'{finding.event or finding.file}: {problem.rule}')}"
    against = f" (against {problem.against})" if problem.against else ""
    text = f"{problem.path or 'declaration'}: {problem.message}{against}\nto do: {problem.fix}"
    return f"::{finding.severity} {where}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit(report: Report) -> str:
    """One test case a declaration; its problems are its failure."""
    suite = Xml.Element("testsuite", name="hourmark check", tests=str(len(report.outcomes)))
    failed = 0
    for outcome in report.outcomes:
        name = outcome.event or outcome.file
        case = Xml.SubElement(suite, "testcase", classname=_xml(outcome.file), name=_xml(name), file=_xml(outcome.file))
        if outcome.state == "refused":
            failed += 1
            errors = [finding for finding in report.findings if finding.severity == "error" and _of(finding, outcome)]
            failure = Xml.SubElement(case, "failure", message=_xml(errors[0].problem.message if errors else "refused"))
            failure.text = _xml("\n\n".join(map(_plain, errors)))
    suite.set("failures", str(failed))
    root = Xml.Element("testsuites")
    root.append(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _plain(finding: Finding) -> str:
    problem = finding.problem
    return f"{finding.file}:{finding.line} {problem.path} {problem.rule}\n{problem.message}\nto do: {problem.fix}"


def _of(finding: Finding, outcome: Outcome) -> bool:
    return finding.event == outcome.event if finding.event and outcome.event else finding.file == outcome.file


def _xml(text: str) -> str:
    """Text without the characters XML cannot hold."""
    return "".join(c if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe") else "\ufffd" for c in text)


def document(report: Report) -> str:
    """One JSON document."""
    return json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n"


def from_root(report: Report, folder: Path) -> Report:
    """The same report with files as the repository counts them, which is where GitHub shows annotations."""
    try:
        repository = Repository(folder)
    except NoGit:
        return report
    inside = [finding._replace(file=repository.inside(finding.file)) for finding in report.findings]
    return report._replace(findings=inside)


FORMATS: Final[dict[str, Callable[[Report], str]]] = {"json": document, "github": github, "junit": junit}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"
