"""A refusal on a terminal, as docs/compatibility.md shows it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cli.refusals import problem_of, said
from registry.compatibility import check
from tests.registry.documents import payload

DOCS = Path(__file__).parents[2] / "docs"


def fields(kind: str) -> dict[str, object]:
    return payload(("track", "string"), ("device", "string"), ("ms_played", kind))


def test_said_as_in_the_docs() -> None:
    [problem] = check([(3, fields("long"))], fields("int"))
    text = said(problem)
    assert [line.strip().partition(" ")[0] for line in text.splitlines()] == ["-", "ms_played", "against", "to"]
    assert text in (DOCS / "compatibility.md").read_text()


def test_what_a_registry_answers_reads_alike() -> None:
    [problem] = check([(3, fields("long"))], fields("int"))
    assert said(problem_of(msgspec.json.decode(msgspec.json.encode(problem)))) == said(problem)
    assert said(problem_of({"path": 5})).count("\n") == 2
    assert "declaration" in said(problem_of({}))


def test_every_rule_is_in_the_docs() -> None:
    from tests.registry.test_compatibility import REFUSED

    text = (DOCS / "compatibility.md").read_text()
    assert [rule for *_, rule, _ in REFUSED if f"`{rule}`" not in text] == []
