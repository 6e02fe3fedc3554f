"""Rules of data contracts: which ones are rules, with schemas and in config. The face keeps them; clients carry them out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.face.steps import Call, Face, get, put, record, register

PLAY = record("Play", track="string")
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"domainRules {mode}": ("domainRules", {"mode": mode}) for mode in ("WRITE", "READ", "WRITEREAD")},
    **{f"encodingRules {mode}": ("encodingRules", {"mode": mode}) for mode in ("WRITE", "READ", "WRITEREAD")},
    **{f"migrationRules {mode}": ("migrationRules", {"mode": mode}) for mode in ("UPGRADE", "DOWNGRADE", "UPDOWN")},
    **{f"{kind} when migrating": ("migrationRules", {"mode": "UPGRADE", "kind": kind}) for kind in ("CONDITION", "TRANSFORM")},
    "neither kind nor mode": ("domainRules", {"kind": None, "mode": None}),
    **{
        f"actions {done!r}, {failed!r}": ("domainRules", {"onSuccess": done, "onFailure": failed})
        for done, failed in (("NONE", "DLQ"), ("ERROR", "NONE"), ("", ""), (None, None), ("NONE,ERROR", "ERROR,DLQ"))
    },
}
BAD: dict[str, tuple[str, Any]] = {
    "no name": ("domainRules", {"name": None}),
    "an empty name": ("domainRules", {"name": ""}),
    "a number for a name": ("domainRules", {"name": 7}),
    "no kind of rule": ("domainRules", {"kind": "FILTER"}),
    "no kind of rule when migrating": ("migrationRules", {"mode": "UPGRADE", "kind": "FILTER"}),
    "no mode": ("domainRules", {"mode": "SOMETIMES"}),
    "a mode of migrations": ("domainRules", {"mode": "UPGRADE"}),
    "a mode of migrations when encoding": ("encodingRules", {"mode": "UPDOWN"}),
    "a mode of domain rules": ("migrationRules", {"mode": "READ"}),
    "a list for a mode": ("migrationRules", {"mode": ["UPGRADE"]}),
    "an unknown action": ("domainRules", {"onSuccess": "DANCE"}),
    "an unknown action after failure": ("domainRules", {"onFailure": "DANCE"}),
    "a number for an action": ("domainRules", {"onFailure": 1}),
    "three actions": ("domainRules", {"onFailure": "NONE,NONE,NONE"}),
    "an unknown phase": ("lunchRules", {}),
    "a text": ("domainRules", "CEL"),
}


def ruled(part: str, more: Any) -> dict[str, Any]:
    whole = {"name": "one", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true"}
    return {part: [{**whole, **more} if isinstance(more, dict) else more]}


@pytest.mark.parametrize("case", GOOD)
def test_good_rules(face: Face, at: str, case: str) -> None:
    rules = ruled(*GOOD[case])
    scene = [
        register(PLAY, body={"ruleSet": rules}),
        get("{at}/subjects/{s}/versions/1", has={"ruleSet": rules}),
        put("{at}/config/{t}", {"compatibility": "NONE", "defaultRuleSet": rules}),
        get("{at}/config/{t}", has={"defaultRuleSet": rules}),
    ]
    face.play(scene, at=at)


@pytest.mark.parametrize("case", BAD)
def test_bad_rules(face: Face, at: str, case: str) -> None:
    rules = ruled(*BAD[case])
    places = [
        put("{at}/config" + place, {kind: rules}, 422, 42201) for place in ("", "/{s}") for kind in ("defaultRuleSet", "overrideRuleSet")
    ]
    scene: list[Call] = [
        register(PLAY, status=422, code=42201, body={"ruleSet": rules}),
        *places,
        get("{at}/subjects/{s}/versions", 404, 40401),
        get("{at}/config", lacks=("RuleSet",)),
    ]
    face.play(scene, at=at)


def test_rule_sets(face: Face, at: str) -> None:
    one = ruled("domainRules", {})["domainRules"][0]
    scene = [
        register(PLAY, "{s}", body={"ruleSet": {"domainRules": []}}),
        register(
            PLAY, "{t}", body={"ruleSet": {"domainRules": [one, {**one, "name": "two", "kind": "TRANSFORM"}], "encodingRules": [one]}}
        ),
        register(PLAY, "{u}", status=422, code=42201, body={"ruleSet": {"domainRules": [one, one]}}),
        register(PLAY, "{u}", status=422, code=42201, body={"ruleSet": "all"}),
        register(PLAY, "{u}", status=422, code=42201, body={"ruleSet": {"domainRules": one}}),
    ]
    face.play(scene, at=at)
