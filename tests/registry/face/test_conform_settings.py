"""Compatibility settings and modes: global, of a subject, inherited, enforced."""

from __future__ import annotations

import pytest

from tests.registry.face.steps import Call, Face, Scene, delete, get, level, look_up, mode, post, put, record, register

A, B, C = record("Play", track="string"), record("Stop", why="int"), record("Skip", by="long")
NEEDY = record("Play", track="string", at="long")
LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")

CONFIG: dict[str, Scene] = {
    "the default": [get("{at}/config", has={"compatibilityLevel": "BACKWARD"})],
    "every level, for all and for a subject": [
        call
        for name in LEVELS
        for call in (
            put("{at}/config", {"compatibility": name}, has={"compatibility": name}),
            get("{at}/config", has={"compatibilityLevel": name}),
            put("{at}/config/{s}", {"compatibility": name}, has={"compatibility": name}),
            get("{at}/config/{s}", has={"compatibilityLevel": name}),
        )
    ],
    "small letters": [
        put("{at}/config", {"compatibility": "forward_Transitive"}),
        get("{at}/config", has={"compatibilityLevel": "FORWARD_TRANSITIVE"}),
    ],
    "bad levels": [
        put("{at}/config", {"compatibility": "SIDEWAYS"}, 422, 42203),
        put("{at}/config/{s}", {"compatibility": "SIDEWAYS"}, 422, 42203),
        put("{at}/config/{s}", {"compatibility": 5}, 422),
        get("{at}/config", has={"compatibilityLevel": "BACKWARD"}),
    ],
    "nothing set": [
        put("{at}/config", {"compatibility": "FORWARD"}),
        put("{at}/config", {}, has={"compatibility": "FORWARD"}),
        get("{at}/config", has={"compatibilityLevel": "FORWARD"}),
    ],
    "a subject without its own": [
        get("{at}/config/{s}", 404, 40408, contains=("does not have subject-level compatibility configured",)),
        get("{at}/config/{s}?defaultToGlobal=false", 404, 40408),
        level("FULL"),
        get("{at}/config/{s}?defaultToGlobal=true", has={"compatibilityLevel": "FULL"}),
        register(A),
        get("{at}/config/{s}", 404, 40408),
        delete("{at}/config/{s}", 404, 40401),
    ],
    "a subject with its own": [
        level("FULL"),
        level("FORWARD", "{s}"),
        *(
            get("{at}/config/{s}" + query, has={"compatibilityLevel": "FORWARD"})
            for query in ("", "?defaultToGlobal=true", "?defaultToGlobal=false")
        ),
        get("{at}/config/{t}?defaultToGlobal=true", has={"compatibilityLevel": "FULL"}),
        get("{at}/config", has={"compatibilityLevel": "FULL"}),
        get("{at}/subjects/{s}/versions", 404, 40401),
        delete("{at}/config/{s}", has={"compatibilityLevel": "FORWARD"}),
        get("{at}/config/{s}?defaultToGlobal=true", has={"compatibilityLevel": "FULL"}),
    ],
    "reset for all": [
        put("{at}/config", {"compatibility": "FULL_TRANSITIVE", "normalize": True}, has={"normalize": True}),
        level("NONE", "{s}"),
        delete("{at}/config", has={"compatibilityLevel": "FULL_TRANSITIVE"}),
        get("{at}/config", has={"compatibilityLevel": "BACKWARD"}, lacks=("normalize",)),
        get("{at}/config/{s}", has={"compatibilityLevel": "NONE"}),
        delete("{at}/config", has={"compatibilityLevel": "BACKWARD"}),
        delete("{at}/config", has={"compatibilityLevel": "BACKWARD"}),
    ],
    "they decide about registrations": [
        level("BACKWARD"),
        level("NONE", "{s}"),
        register(A),
        register(B),
        register(A, "{t}"),
        register(B, "{t}", 409),
        register(NEEDY, "{t}", 409, contains=("incompatible",)),
        level("FORWARD", "{t}"),
        register(NEEDY, "{t}"),
        delete("{at}/config/{s}"),
        register(C, "{s}", 409),
        get("{at}/subjects/{t}/versions", same=[1, 2]),
    ],
    "all that can be set": [
        put(
            "{at}/config/{s}",
            {"compatibility": "FULL", "normalize": True, "validateFields": False, "compatibilityGroup": "major", "alias": "{t}"},
            has={"compatibility": "FULL", "normalize": True, "compatibilityGroup": "major", "alias": "{t}"},
        ),
        get("{at}/config/{s}", has={"compatibilityLevel": "FULL", "normalize": True, "compatibilityGroup": "major", "alias": "{t}"}),
    ],
    "what newer clients know": [
        put(
            "{at}/config/{s}",
            {"validateNewSchemas": True, "validateRules": False, "compatibilityPolicy": "STRICT"},
            has={"validateNewSchemas": True, "validateRules": False, "compatibilityPolicy": "STRICT"},
        ),
        get("{at}/config/{s}", has={"validateNewSchemas": True, "compatibilityPolicy": "STRICT"}),
        put("{at}/config/{s}", {"validateEverything": True}, 422, 422, contains=("validateEverything",)),
    ],
    "an alias leads on": [
        register(A, "{t}", keep={"id": "id"}),
        put("{at}/config/{s}", {"alias": "{t}"}, has={"alias": "{t}"}),
        get("{at}/subjects/{s}/versions/1", has={"id": "{id}", "subject": "{t}"}),
        get("{at}/subjects/{s}/versions", same=[1]),
        look_up(A, "{s}", has={"id": "{id}", "subject": "{t}"}),
        post("{at}/compatibility/subjects/{s}/versions/latest", {"schema": NEEDY}, has={"is_compatible": False}),
        register(record("Play", track="string", at=("long", 0)), "{s}"),
        get("{at}/subjects/{t}/versions", same=[1, 2]),
        get("{at}/subjects?subjectPrefix={s}", same=[]),
        put("{at}/config/{s}", {"alias": ""}),
        get("{at}/config/{s}", lacks=("{t}",)),
        get("{at}/subjects/{s}/versions", 404, 40401),
    ],
    "an alias leads one step": [
        register(A, "{u}"),
        put("{at}/config/{t}", {"alias": "{u}"}),
        put("{at}/config/{s}", {"alias": "{t}"}),
        get("{at}/subjects/{t}/versions", same=[1]),
        get("{at}/subjects/{s}/versions", 404, 40401),
    ],
    "normalize": [
        register(A, "{s}", keep={"id": "id"}),
        post("{at}/subjects/{s}?normalize=true", {"schema": A}, has={"id": "{id}"}),
        post("{at}/subjects/{s}/versions?normalize=true", {"schema": A}, has={"id": "{id}"}),
        post("{at}/compatibility/subjects/{s}/versions/1?normalize=true", {"schema": A}, has={"is_compatible": True}),
        put("{at}/config/{s}", {"normalize": True}),
        post("{at}/subjects/{s}", {"schema": A.replace('"string"', '{"type": "string"}')}, has={"id": "{id}"}),
    ],
}


def _refused(subject: str = "{s}") -> list[Call]:
    """Every write that a closed subject refuses."""
    return [
        register(B, subject, 422, 42205),
        register(B, subject, 422, 42205, body={"id": 50000}),
        delete("{at}/subjects/" + subject, 422, 42205),
        delete("{at}/subjects/" + subject + "/versions/1", 422, 42205),
    ]


MODES: dict[str, Scene] = {
    "the default": [get("{at}/mode", same={"mode": "READWRITE"})],
    "set and read": [
        call
        for name in ("READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD", "READWRITE")
        for call in (mode(name)._replace(same={"mode": name}), get("{at}/mode", same={"mode": name}))
    ],
    "bad modes": [
        put("{at}/mode", {"mode": "WRITEMOSTLY"}, 422, 42204),
        put("{at}/mode/{s}", {"mode": "WRITEMOSTLY"}, 422, 42204),
        put("{at}/mode", {}, 422),
    ],
    "a subject without its own": [
        get("{at}/mode/{s}", 404, 40409, contains=("does not have subject-level mode configured",)),
        get("{at}/mode/{s}?defaultToGlobal=false", 404, 40409),
        mode("READONLY"),
        get("{at}/mode/{s}?defaultToGlobal=true", same={"mode": "READONLY"}),
        delete("{at}/mode/{s}", 404, 40401),
    ],
    "a subject with its own": [
        mode("READONLY", "{s}"),
        mode("IMPORT", "{t}"),
        *(get("{at}/mode/{s}" + query, same={"mode": "READONLY"}) for query in ("", "?defaultToGlobal=true", "?defaultToGlobal=false")),
        get("{at}/mode/{t}", same={"mode": "IMPORT"}),
        get("{at}/mode", same={"mode": "READWRITE"}),
        delete("{at}/mode/{s}", same={"mode": "READONLY"}),
        get("{at}/mode/{s}?defaultToGlobal=true", same={"mode": "READWRITE"}),
    ],
    "reset for all": [
        mode("READONLY"),
        mode("IMPORT", "{s}"),
        delete("{at}/mode?force=true", same={"mode": "READONLY"}),
        get("{at}/mode", same={"mode": "READWRITE"}),
        get("{at}/mode/{s}", same={"mode": "IMPORT"}),
        delete("{at}/mode", same={"mode": "READWRITE"}),
        register(A, "{t}"),
    ],
    **{
        f"{name} for all refuses writes": [
            register(A),
            mode(name),
            *_refused(),
            get("{at}/subjects/{s}/versions/latest", has={"version": 1}),
            get("{at}/subjects", contains=("{s}",)),
            get("{at}/config"),
            look_up(A, has={"version": 1}),
            mode("READWRITE"),
            register(B, "{t}"),
        ]
        for name in ("READONLY", "READONLY_OVERRIDE", "FORWARD")
    },
    "one closed subject": [
        register(A),
        mode("READONLY", "{s}"),
        *_refused(),
        register(B, "{t}"),
        mode("READWRITE", "{s}"),
        delete("{at}/subjects/{s}"),
    ],
    "an open subject in a closed registry": [mode("READONLY"), mode("READWRITE", "{s}"), register(A), register(A, "{t}", 422, 42205)],
    "compatibility may be asked in a closed registry": [
        register(A),
        mode("READONLY"),
        post("{at}/compatibility/subjects/{s}/versions/latest", {"schema": NEEDY}, has={"is_compatible": False}),
    ],
}


@pytest.mark.parametrize("scene", CONFIG)
def test_config(face: Face, at: str, scene: str) -> None:
    face.play(CONFIG[scene], at=at)


@pytest.mark.parametrize("scene", MODES)
def test_modes(face: Face, at: str, scene: str) -> None:
    face.play(MODES[scene], at=at)


def test_an_override_leaves_no_subject_open(face: Face) -> None:
    face.play([mode("READWRITE", "{s}"), mode("READONLY_OVERRIDE"), register(A, "{s}", 422, 42205)])
