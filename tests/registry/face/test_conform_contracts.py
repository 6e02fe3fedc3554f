"""Metadata and rules: stored, merged with the defaults and overrides of config, handed on from version to version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.face.steps import Call, Face, Scene, delete, get, level, look_up, put, record, register

A, B, C = record("Play", track="string"), record("Play", track="string", at=("long", 0)), record("Stop", why="int")


def properties(**found: str) -> dict[str, Any]:
    return {"metadata": {"properties": found}}


def rule(name: str, kind: str = "CONDITION", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "mode": "WRITE", "type": "CEL", "expr": "true", **more}


def rules(*names: str, group: str = "domainRules") -> dict[str, Any]:
    return {"ruleSet": {group: [rule(name) for name in names]}}


def config(**more: Any) -> Call:
    return put("{at}/config/{s}", {"compatibility": "NONE", **more})


FIRST = "{at}/subjects/{s}/versions/1"

SCENES: dict[str, Scene] = {
    "none sent, none found": [
        register(A, keep={"id": "id"}),
        get(FIRST, lacks=("metadata", "ruleSet")),
        get("{at}/schemas/ids/{id}", lacks=("ruleSet", "Rules")),
    ],
    "stored and returned": [
        register(A, body={"metadata": {"properties": {"owner": "sound"}, "tags": {"Play.track": ["PII"]}, "sensitive": ["owner"]}}),
        get(
            FIRST,
            check=lambda body: (
                body["metadata"]["properties"]["owner"] == "sound"
                and body["metadata"]["tags"] == {"Play.track": ["PII"]}
                and body["metadata"]["sensitive"] == ["owner"]
            ),
        ),
    ],
    "other metadata, another version": [
        register(A, body=properties(owner="sound"), keep={"id": "id"}),
        register(A, body=properties(owner="sound"), has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions", same=[1]),
        register(A, body=properties(owner="vision"), has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
        look_up(A, body=properties(owner="vision"), has={"version": 2}),
    ],
    "metadata make no other schema": [
        register(A, keep={"id": "id"}),
        register(A, body=properties(owner="sound"), has={"id": "{id}"}),
        register(A, "{t}", body={**properties(owner="sound"), **rules("own")}, has={"id": "{id}"}),
        look_up(A, "{t}", has={"subject": "{t}", "version": 1, "id": "{id}"}, contains=("sound", "own")),
    ],
    "defaults of config": [
        config(defaultMetadata={"properties": {"team": "core", "env": "prod"}}, defaultRuleSet={"domainRules": [rule("basic")]}),
        get("{at}/config/{s}", contains=("defaultMetadata", "defaultRuleSet", "core", "basic")),
        register(A),
        get(FIRST, contains=("core", "prod", "basic", "CONDITION")),
    ],
    "overrides of config": [
        config(overrideMetadata={"properties": {"team": "guard", "class": "inner"}}, overrideRuleSet={"domainRules": [rule("forced")]}),
        register(A, body={**properties(team="mine", area="sound"), **rules("own")}),
        get(FIRST, contains=("guard", "inner", "sound", "forced", "own"), lacks=("mine",)),
    ],
    "three layers": [
        config(
            defaultMetadata={"properties": {"source": "below", "tier": "bronze"}},
            overrideMetadata={"properties": {"tier": "gold", "approved": "yes"}},
        ),
        register(A, body=properties(owner="alpha", tier="silver")),
        get(FIRST, contains=("below", "alpha", "approved", "gold"), lacks=("bronze", "silver")),
    ],
    "tags and sensitive names are united": [
        config(defaultMetadata={"tags": {"a": ["PII"]}, "sensitive": ["ssn"]}),
        register(A, body={"metadata": {"tags": {"b": ["CONTACT"]}, "sensitive": ["mail"]}}),
        get(FIRST, contains=("PII", "CONTACT", "ssn", "mail")),
    ],
    "defaults for all": [
        put("{at}/config", {"compatibility": "NONE", "defaultMetadata": {"properties": {"org": "acme"}}}),
        register(A),
        get(FIRST, contains=("acme",)),
        put("{at}/config", {"compatibility": "BACKWARD", "defaultMetadata": None}),
        get("{at}/config", lacks=("acme",)),
    ],
    "handed on": [
        level("NONE", "{s}"),
        register(A, body={**properties(owner="sound"), **rules("kept")}),
        register(B),
        get("{at}/subjects/{s}/versions/2", contains=("sound", "kept")),
        register(C, body=properties(owner="vision")),
        get("{at}/subjects/{s}/versions/3", contains=("vision",), lacks=("sound",)),
    ],
    "all groups of rules, all fields of a rule": [
        register(
            A,
            body={
                "ruleSet": {
                    "migrationRules": [rule("up", "TRANSFORM", mode="UPGRADE")],
                    "domainRules": [rule("valid")],
                    "encodingRules": [
                        rule(
                            "seal",
                            "TRANSFORM",
                            doc="seals it",
                            tags=["PII", "GDPR"],
                            params={"encrypt.kek.name": "k"},
                            onSuccess="NONE",
                            onFailure="ERROR",
                            disabled=True,
                        )
                    ],
                }
            },
            keep={"id": "id"},
        ),
        get(
            FIRST,
            contains=(
                "migrationRules",
                "UPGRADE",
                "domainRules",
                "encodingRules",
                "seals it",
                "GDPR",
                "encrypt.kek.name",
                "ERROR",
                "disabled",
            ),
        ),
        get("{at}/schemas/ids/{id}", contains=('"schema"',)),
    ],
    "metadata that are none": [
        register(A, status=422, body={"metadata": {"properties": {"n": {"deep": 1}}}}),
        get("{at}/subjects/{s}/versions", 404, 40401),
    ],
    **{
        f"a version hint of {hint} is only a hint": [
            level("NONE", "{s}"),
            register(A, body=properties(**{"confluent:version": hint, "owner": "sound"})),
            get(FIRST, contains=("sound",)),
            register(B, body=properties(**{"confluent:version": hint})),
            get("{at}/subjects/{s}/versions", same=[1, 2]),
        ]
        for hint in ("0", "-1", "1", "5", "abc")
    },
    "the version hint is answered with the version": [
        register(A, body=properties(**{"confluent:version": "0"})),
        get(FIRST, check=lambda body: body["metadata"]["properties"]["confluent:version"] == "1"),
    ],
    "the same hint, the same id": [
        register(A, body=properties(**{"confluent:version": "1"}), keep={"id": "id"}),
        register(A, body=properties(**{"confluent:version": "1"}), has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions", same=[1]),
    ],
    "a hint after a soft delete": [
        register(A),
        delete("{at}/subjects/{s}"),
        register(B, body=properties(**{"confluent:version": "2"})),
        get("{at}/subjects/{s}/versions", same=[2]),
    ],
    "groups of compatibility": [
        put("{at}/config/{s}", {"compatibility": "BACKWARD", "compatibilityGroup": "major"}),
        get("{at}/config/{s}", has={"compatibilityGroup": "major"}),
        register(A, body=properties(major="1")),
        register(record("Play", n="int"), body=properties(major="2")),
        register(record("Play", n="string"), status=409, body=properties(major="2")),
        register(record("Play", track="string", more=("int", 0)), body=properties(major="1")),
    ],
    "without a group metadata are no way out": [
        level("BACKWARD", "{s}"),
        register(A, body=properties(major="1")),
        register(record("Play", n="int"), status=409, body=properties(major="2")),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_contracts(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)
