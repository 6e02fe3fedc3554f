"""IMPORT mode: schemas come with ids and versions of their own, and nothing is judged."""

from __future__ import annotations

import pytest

from tests.registry.face.steps import Face, Scene, delete, get, level, look_up, mode, record, register

A, B, C = record("Play", track="string"), record("Stop", why="int"), record("Skip", by="long")

SCENES: dict[str, Scene] = {
    "needs force where schemas are": [
        register(A),
        mode("IMPORT", "{s}", force=False)._replace(status=422, code=42205),
        mode("IMPORT", force=False)._replace(status=422, code=42205),
        mode("READONLY", force=False),
        mode("READWRITE", force=False),
        mode("IMPORT"),
        mode("IMPORT", force=False),
        mode("READWRITE", force=False),
        mode("IMPORT", "{s}"),
        mode("IMPORT", "{t}", force=False),
    ],
    "needs ids": [
        register(A),
        mode("IMPORT"),
        register(B, status=422, code=42205),
        register(A, status=422, code=42205),
        get("{at}/subjects/{s}/versions/1", has={"version": 1}),
    ],
    "only there ids are taken": [
        register(A, status=422, code=42205, body={"id": 1}),
        register(A, status=422, code=42205, body={"id": 99999, "version": 1}),
    ],
    "with id and version": [
        mode("IMPORT", "{s}"),
        register(A, body={"id": 710001, "version": 1}, has={"id": 710001}),
        register(B, body={"id": 710002, "version": 7}, has={"id": 710002}),
        register(C, body={"id": 710003, "version": 3}, has={"id": 710003}),
        get("{at}/subjects/{s}/versions", same=[1, 3, 7]),
        get("{at}/subjects/{s}/versions/latest", has={"id": 710002, "version": 7}),
        get("{at}/subjects/{s}/versions/3", has={"id": 710003}),
        get("{at}/schemas/ids/710003", has={"schema": C}),
        look_up(C, has={"id": 710003, "version": 3}),
        mode("READWRITE", "{s}"),
        level("NONE", "{s}"),
        register(record("After", a="int"), keep={"id": "id"}, check=lambda body: body["id"] > 710003),
        get("{at}/subjects/{s}/versions/latest", has={"version": 8, "id": "{id}"}),
        delete("{at}/subjects/{s}/versions/3", same=3),
        get("{at}/subjects/{s}/versions", same=[1, 7, 8]),
    ],
    "without versions": [
        mode("IMPORT", "{s}"),
        register(A, body={"id": 720001}),
        register(B, body={"id": 720002}),
        get("{at}/subjects/{s}/versions/2", has={"id": 720002}),
    ],
    "twice": [
        mode("IMPORT", "{s}"),
        mode("IMPORT", "{t}"),
        register(record("Twice", a="int"), body={"id": 730001, "version": 1}),
        register(record("Twice", a="int"), body={"id": 730001, "version": 1}, has={"id": 730001}),
        register(record("Twice", a="int"), "{t}", body={"id": 730001, "version": 4}, has={"id": 730001}),
        get("{at}/subjects/{s}/versions", same=[1]),
        get("{at}/subjects/{t}/versions", same=[4]),
        register(record("Thrice", a="int"), "{t}", 422, 42205, body={"id": 730001, "version": 1}),
    ],
    "no compatibility": [
        mode("IMPORT", "{s}"),
        level("FULL_TRANSITIVE", "{s}"),
        register(record("Jump", a="string"), body={"id": 740001, "version": 1}),
        register(record("Jump", a="int"), body={"id": 740002, "version": 2}),
        mode("READWRITE", "{s}"),
        register(record("Jump", a="string", b="int"), status=409),
    ],
    "one schema, two ids": [
        mode("IMPORT", "{s}"),
        register(record("Double", a="int"), body={"id": 770001, "version": 1}, has={"id": 770001}),
        register(record("Double", a="int"), body={"id": 770002, "version": 2}, has={"id": 770002}),
        get("{at}/subjects/{s}/versions/1", has={"id": 770001}),
        get("{at}/subjects/{s}/versions/2", has={"id": 770002}),
        get("{at}/schemas/ids/770001", contains=("Double",)),
        get("{at}/schemas/ids/770002", contains=("Double",)),
    ],
    "the same version after a soft delete": [
        register(record("Back", a="int"), keep={"id": "id"}),
        delete("{at}/subjects/{s}"),
        mode("IMPORT", "{s}", force=False),
        register(record("Back", a="int"), body={"id": "{id}", "version": 1}, has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions/1", has={"id": "{id}"}),
        delete("{at}/subjects/{s}"),
        mode("IMPORT", "{s}", force=False),
        register(record("Back", a="int"), body={"id": 780001, "version": 1}, has={"id": 780001}),
        get("{at}/subjects/{s}/versions", same=[1]),
    ],
    "an id that nothing holds any more": [
        mode("IMPORT", "{s}"),
        mode("IMPORT", "{t}"),
        register(record("Held", a="int"), body={"id": 790001}),
        delete("{at}/subjects/{s}"),
        register(record("Free", a="int"), "{t}", 422, 42205, body={"id": 790001}),
        delete("{at}/subjects/{s}?permanent=true"),
        register(record("Free", a="int"), "{t}", body={"id": 790001}, has={"id": 790001}),
        get("{at}/schemas/ids/790001", contains=("Free",)),
        register(record("Held", a="int"), "{u}", check=lambda body: body["id"] > 790001),
    ],
    "into what was deleted": [
        register(A),
        delete("{at}/subjects/{s}"),
        mode("IMPORT", "{s}"),
        register(record("Again", a="int"), body={"id": 750001, "version": 2}),
        get("{at}/subjects/{s}/versions/2", has={"id": 750001}),
    ],
    "with references": [
        mode("IMPORT"),
        register(record("Base", a="int"), body={"id": 760001, "version": 1}),
        register(
            record("Top", base="Base"),
            "{t}",
            body={"id": 760002, "version": 1, "references": [{"name": "Base", "subject": "{s}", "version": 1}]},
        ),
        get("{at}/schemas/ids/760002", contains=("Top", "references")),
    ],
    "the subject's word counts": [mode("IMPORT"), mode("READWRITE", "{s}"), register(A), register(A, "{t}", 422, 42205)],
}


@pytest.mark.parametrize("scene", SCENES)
def test_imports(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)
