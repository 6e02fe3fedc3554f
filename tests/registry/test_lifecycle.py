"""The life of an event type: how it is written, what belongs to which state, and which ways are open."""

from __future__ import annotations

from typing import Any

import pytest

from hourmark.schemas import EventType
from registry.catalog import draft
from registry.change import changed, problems
from registry.declaration import check, read
from registry.document import parse_yaml
from registry.history import Byline
from registry.lifecycle import lifts_a_block, state_of
from registry.provision import Provisioned
from tests.registry.documents import declaration, payload

STATES = ("draft", "active", "deprecated", "blocked")
LEAVING = {"state": "deprecated", "until": "2027-03-01", "replaced_by": "player.song_played_v2", "reason": "counts from zero"}


def entry(**more: Any) -> EventType:
    return draft(read(declaration(**more)), None, Provisioned(2, False), Byline("me")).entry


def test_a_word_stays_a_word() -> None:
    for state in STATES:
        assert read(declaration(lifecycle=state)).document()["lifecycle"] == state
        assert read(declaration(lifecycle={"state": state})).document()["lifecycle"] == state
    assert read(declaration()).document()["lifecycle"] == "active"


def test_what_is_said_is_kept_and_broadcast() -> None:
    document = read(declaration(lifecycle=LEAVING)).document()
    assert document["lifecycle"] == LEAVING
    assert read(document).document() == document
    told = entry(lifecycle=LEAVING)
    assert (told.lifecycle, told.until, told.replaced_by, told.reason) == tuple(LEAVING.values())
    blocked = entry(lifecycle={"state": "blocked", "reason": "a flood"})
    assert (blocked.lifecycle, blocked.reason, blocked.until) == ("blocked", "a flood", "")
    protected = entry(schema=payload(("email", "string")), privacy={"fields": {"email": {"as": "encrypt"}}})
    assert protected.private == ("email",)


@pytest.mark.parametrize(
    ("said", "path", "rule"),
    [
        ("dead", "/lifecycle", "value"),
        (5, "/lifecycle", "value"),
        (None, "/lifecycle", "value"),
        ([], "/lifecycle", "value"),
        ({}, "/lifecycle/state", "missing"),
        ({"state": "dead"}, "/lifecycle", "value"),
        ({"state": "active", "reason": "x"}, "/lifecycle/reason", "lifecycle"),
        ({"state": "active", "until": "2027-03-01"}, "/lifecycle/until", "lifecycle"),
        ({"state": "draft", "replaced_by": "a.b"}, "/lifecycle/replaced_by", "lifecycle"),
        ({"state": "blocked", "until": "2027-03-01"}, "/lifecycle/until", "lifecycle"),
        ({"state": "blocked", "reason": " \t"}, "/lifecycle/reason", "lifecycle"),
        ({"state": "blocked", "reason": "a\x1b[31mb"}, "/lifecycle/reason", "lifecycle"),
        ({"state": "blocked", "reason": ""}, "/lifecycle/reason", "value"),
        ({"state": "blocked", "reason": "x" * 501}, "/lifecycle/reason", "value"),
        ({"state": "blocked", "why": "x"}, "/lifecycle/why", "unknown_field"),
        ({"state": "deprecated", "until": "soon"}, "/lifecycle/until", "date"),
        ({"state": "deprecated", "until": "20270301"}, "/lifecycle/until", "date"),
        ({"state": "deprecated", "until": "2027-02-30"}, "/lifecycle/until", "date"),
        ({"state": "deprecated", "until": 20270301}, "/lifecycle/until", "value"),
        ({"state": "deprecated", "replaced_by": "Nope"}, "/lifecycle/replaced_by", "event_name"),
        ({"state": "deprecated", "replaced_by": "player.song_played"}, "/lifecycle/replaced_by", "lifecycle"),
    ],
)
def test_what_is_no_lifecycle(said: Any, path: str, rule: str) -> None:
    found = check(declaration(lifecycle=said))
    assert (path, rule) in [(problem.path, problem.rule) for problem in found], found
    assert all(problem.message and problem.fix for problem in found)


def test_a_date_in_yaml_needs_no_quotes() -> None:
    said = parse_yaml(b"lifecycle: {state: deprecated, until: 2027-03-01}\n")
    assert said["lifecycle"]["until"] == "2027-03-01"


def test_every_way_but_back_to_draft_is_open() -> None:
    for before in STATES:
        for after in STATES:
            found = problems(read(declaration(lifecycle=after)), declaration(lifecycle=before), 2, [])
            closed = after == "draft" and before != "draft"
            assert [p.rule for p in found] == (["lifecycle_transition"] if closed else []), (before, after)
            assert lifts_a_block(before, after) is (before == "blocked" and after != "blocked")
    assert state_of(declaration(lifecycle=LEAVING)) == "deprecated"
    assert state_of(declaration()) == "active"


def test_changed_names_what_differs() -> None:
    current = read(declaration(description="one", key="track")).document()
    assert changed(read(declaration(description="one", key="track")), current) == []
    assert changed(read(declaration(description="two", sdks=["a"])), current) == ["description", "sdks", "key"]
