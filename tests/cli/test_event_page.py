"""The page of one event type, from answers of a registry by script."""

from __future__ import annotations

from typing import Any

import pytest

from cli import event_page
from cli.catalogue import Catalogue


class Scripted(Catalogue):
    """A registry that knows one type."""

    def __init__(self, declaration: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:1")
        self._declaration = declaration

    def get(self, event_type: str) -> dict[str, Any]:
        facts = {"partitions": 4, "schema_id": 7, "schema_version": 2, "revision": 41}
        return {**facts, "event": event_type, "declaration": self._declaration, "retention": {"raw": "72h", "clean": "168h", "lake": None}}

    def revisions(self, event_type: str, most: int) -> list[dict[str, Any]]:
        found = [
            {"revision": 41, "author": "ann", "at": 1_772_348_398.0, "message": "albums [bold]for the charts"},
            {"revision": 7, "author": "", "at": 1_772_300_000.0, "message": ""},
        ]
        return found[:most]


FIELDS = [
    {"name": "user_id", "type": "string"},
    {"name": "who", "type": {"type": "record", "name": "Who", "fields": [{"name": "email", "type": "string"}]}},
    {"name": "track", "type": ["null", "string"], "doc": "which"},
]
PRIVACY = {"subject": "user_id", "fields": {"user_id": {"as": "pseudonym", "join": "analytics"}, "who.email": {"keep": "robots only"}}}


def test_the_page_says_how_it_lives_who_is_protected_and_who_changed_it(capsys: pytest.CaptureFixture[str]) -> None:
    life = {"state": "deprecated", "until": "2027-03-01", "replaced_by": "a.c", "reason": "counts from zero"}
    declaration = {"owner": "me", "lifecycle": life, "sdks": ["one", "two"], "privacy": PRIVACY, "schema": {"fields": FIELDS}}
    event_page.show(Scripted(declaration), "a.b", as_json=False)
    said = capsys.readouterr().out
    for expected in (
        "deprecated until 2027-03-01, replaced by a.c: counts from zero",
        "41, 2026-03-01 06:59:58 by ann: albums [bold]for the charts",
        "one, two",
        "for ever",
        "pseudonym joined as analytics",
        "email: kept (robots only)",
    ):
        assert expected in said, said


def test_the_history_is_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    event_page.history(Scripted({}), "a.b", as_json=False)
    said = capsys.readouterr().out
    assert said.index("ann") < said.index("2026-02-28")


def test_a_plain_word_stays_one() -> None:
    assert event_page.said_lifecycle("active") == "active"
    assert event_page.said_lifecycle({"state": "blocked", "reason": "a flood"}) == "blocked: a flood"
