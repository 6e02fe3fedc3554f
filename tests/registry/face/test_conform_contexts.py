"""Contexts: `:.context:subject` and `/contexts/.context/…` lead to rooms of their own."""

from __future__ import annotations

import pytest

from tests.registry.face.steps import Face, Scene, delete, get, post, put, record, sent

A, B, C = record("Play", track="string"), record("Stop", why="int"), record("Skip", by="long")
MORE = record("Play", track="string", at=("long", 0))
BY_NAME, BY_PATH = "/subjects/:{c}:s", "/contexts/{c}/subjects/s"

SCENES: dict[str, Scene] = {
    "there from the first schema on": [
        get("/contexts", contains=('"."',), lacks=("{c}",)),
        post("/subjects/:{c}:s/versions", sent(A), has={"id": 1}),
        get("/contexts", check=lambda body: body == sorted(body), contains=("{c}",)),
        post("/subjects/:{c}X:s/versions", sent(A), has={"id": 1}),
        get("/contexts", contains=('"{c}X"', '"{c}"')),
    ],
    "ids count from one in each": [
        post("/subjects/:{c}:s/versions", sent(A), has={"id": 1}),
        post("/subjects/:{c}:t/versions", sent(B), has={"id": 2}),
        post("/subjects/:{c}:u/versions", sent(A), has={"id": 1}),
        post("/subjects/:{d}:s/versions", sent(C), has={"id": 1}),
        get("/contexts/{c}/schemas/ids/1", has={"schema": A}),
        get("/contexts/{d}/schemas/ids/1", has={"schema": C}),
        get("/schemas/ids/1?subject=:{d}:", has={"schema": C}),
        get("/schemas/ids/1?subject=:{c}:s", has={"schema": A}),
        get("/contexts/{c}/schemas/ids/3", 404, 40403),
    ],
    "by name and by path are one": [
        post(BY_PATH + "/versions", sent(A), has={"id": 1}),
        get(BY_NAME + "/versions/1", has={"subject": "s"}, contains=("Play",)),
        post(BY_NAME + "/versions", sent(MORE), has={"id": 2}),
        get(BY_PATH + "/versions", same=[1, 2]),
        get(BY_PATH + "/versions/latest", has={"version": 2}),
        get(BY_NAME + "/versions/2/schema", contains=("Play",)),
        post(BY_PATH, sent(MORE), has={"version": 2, "id": 2}),
        post(BY_NAME, sent(A), has={"version": 1, "id": 1}),
        post("/contexts/{c}/compatibility/subjects/s/versions/latest", sent(B), has={"is_compatible": False}),
        post("/compatibility/subjects/:{c}:s/versions/1", sent(MORE), has={"is_compatible": True}),
        delete(BY_PATH + "/versions/1", same=1),
        delete(BY_NAME, same=[2]),
        get(BY_PATH + "/versions", 404, 40401),
        delete(BY_NAME + "?permanent=true", same=[1, 2]),
    ],
    "the name beats the path": [
        post("/contexts/{c}/subjects/:{d}:s/versions", sent(A)),
        get("/subjects/:{d}:s/versions", same=[1]),
        get(BY_NAME + "/versions", 404, 40401),
    ],
    "without a dot": [post("/contexts/{c}/subjects/s/versions", sent(A)), get("/contexts/:{c}:/subjects/s/versions", same=[1])],
    "the default context has names too": [
        post("/subjects/{s}/versions", sent(A), keep={"id": "id"}),
        get("/subjects/:.:{s}/versions", same=[1]),
        get("/contexts/:.:/subjects/{s}/versions", same=[1]),
        get("/contexts/:.:/schemas/ids/{id}", has={"schema": A}),
    ],
    "rooms do not share": [
        post("/subjects/:{c}:s/versions", sent(A)),
        post("/subjects/:{d}:s/versions", sent(B)),
        get("/subjects/:{c}:s/versions/1", contains=("Play",)),
        get("/subjects/:{d}:s/versions/1", contains=("Stop",)),
        post("/subjects/:{d}:s", sent(A), 404, 40403),
        delete("/subjects/:{c}:s"),
        delete("/subjects/:{c}:s?permanent=true"),
        get("/subjects/:{d}:s/versions", same=[1]),
        get("/subjects/:{c}:s/versions", 404, 40401),
    ],
    "lists": [
        post("/subjects/:{c}:{s}/versions", sent(A)),
        post("/subjects/{t}/versions", sent(A)),
        get("/subjects?subjectPrefix=:{c}:", same=[":{c}:{s}"]),
        get("/subjects?subjectPrefix=:*:", contains=('":{c}:{s}"', '"{t}"')),
        get("/subjects?subjectPrefix=", contains=('"{t}"',), lacks=("{s}",)),
        get("/subjects", contains=('"{t}"',), lacks=("{s}",)),
        get("/contexts/{c}/subjects", same=["{s}"]),
        get("/contexts/{c}/schemas/ids/1/subjects", same=["{s}"]),
        get("/schemas?subjectPrefix=:{c}:", check=lambda body: len(body) == 1),
        delete("/subjects/:{c}:{s}"),
        get("/subjects?subjectPrefix=:{c}:", same=[]),
        get("/subjects?subjectPrefix=:{c}:&deleted=true", same=[":{c}:{s}"]),
    ],
    "settings of a context": [
        put("/config/:{c}:", {"compatibility": "NONE"}),
        get("/contexts/{c}/config", has={"compatibilityLevel": "NONE"}),
        get("/config/:{c}:s?defaultToGlobal=true", has={"compatibilityLevel": "NONE"}),
        get("/config/:{d}:s?defaultToGlobal=true", has={"compatibilityLevel": "BACKWARD"}),
        get("/config/:{c}:s", 404),
        put("/contexts/{c}/config/s", {"compatibility": "FORWARD"}),
        get("/config/:{c}:s", has={"compatibilityLevel": "FORWARD"}),
        get("/config", has={"compatibilityLevel": "BACKWARD"}),
        delete("/contexts/{c}/config/s"),
        get("/config/:{c}:s?defaultToGlobal=true", has={"compatibilityLevel": "NONE"}),
        delete("/config/:{c}:"),
        get("/config/:{c}:s?defaultToGlobal=true", has={"compatibilityLevel": "BACKWARD"}),
    ],
    "modes of a context": [
        put("/contexts/{c}/mode", {"mode": "READONLY"}),
        get("/mode/:{c}:", has={"mode": "READONLY"}),
        post("/subjects/:{c}:s/versions", sent(A), 422, 42205),
        post("/subjects/:{d}:s/versions", sent(A)),
        put("/mode/:{c}:s", {"mode": "READWRITE"}),
        post("/subjects/:{c}:s/versions", sent(A)),
        get("/mode/:{c}:t", 404, 40409),
        get("/mode/:{c}:t?defaultToGlobal=true", same={"mode": "READONLY"}),
        get("/mode", same={"mode": "READWRITE"}),
        delete("/mode/:{c}:"),
        post("/subjects/:{c}:t/versions", sent(A)),
    ],
    "settings over all contexts": [
        put("/config/:.__GLOBAL:", {"compatibility": "FULL"}),
        get("/contexts/{c}/config/s?defaultToGlobal=true", has={"compatibilityLevel": "FULL"}),
        put("/config/:{c}:", {"compatibility": "NONE"}),
        get("/contexts/{c}/config/s?defaultToGlobal=true", has={"compatibilityLevel": "NONE"}),
        put("/contexts/{c}/config/s", {"compatibility": "FORWARD"}),
        get("/contexts/{c}/config/s?defaultToGlobal=true", has={"compatibilityLevel": "FORWARD"}),
        delete("/contexts/{c}/config/s"),
        delete("/config/:{c}:"),
        get("/contexts/{c}/config/s?defaultToGlobal=true", has={"compatibilityLevel": "FULL"}),
        delete("/config/:.__GLOBAL:"),
        get("/contexts/{c}/config/s?defaultToGlobal=true", has={"compatibilityLevel": "BACKWARD"}),
        put("/mode/:.__GLOBAL:", {"mode": "READONLY"}),
        post("/subjects/:{c}:s/versions", sent(A), 422, 42205),
        delete("/mode/:.__GLOBAL:"),
        post("/subjects/:{c}:s/versions", sent(A)),
        post("/subjects/:.__GLOBAL:s/versions", sent(A), 422),
    ],
    "references stay inside, or are named": [
        post("/subjects/:{c}:s/versions", sent(record("Base", a="int"))),
        post(
            "/subjects/:{c}:t/versions",
            sent(record("Top", b="Base"), references=[{"name": "Base", "subject": "s", "version": 1}]),
        ),
        post(
            "/contexts/{c}/subjects/u/versions",
            sent(record("Up", b="Base"), references=[{"name": "Base", "subject": ":{c}:s", "version": 1}]),
        ),
        post(
            "/subjects/:{d}:t/versions",
            sent(record("Top", b="Base"), references=[{"name": "Base", "subject": "s", "version": 1}]),
            422,
            42201,
        ),
        get("/contexts/{c}/subjects/s/versions/1/referencedby", check=lambda body: len(body) == 2),
    ],
    "names that are none": [
        *(
            get(f"/contexts/{bad}/subjects", 422, 422, contains=("Invalid context name",))
            for bad in (".bad!", ".has%20space", ".at@sign", ".hash%23", ".pct%25")
        ),
        get("/contexts", lacks=(".bad!", ".has space", ".at@sign")),
        post("/subjects/:.ctx-1_2.v:{s}/versions", sent(A), contains=("id",)),
    ],
    "unknown in a known room": [
        get("/subjects/:{c}:none/versions", 404, 40401),
        get("/subjects/:{c}:none/versions/1", 404, 40401),
        delete("/subjects/:{c}:none", 404, 40401),
        post("/compatibility/subjects/:{c}:none/versions/1", sent(A), 404),
        get("/config/:{c}:none", 404),
        get("/mode/:{c}:none", 404),
        get("/contexts/{c}/schemas/types", check=lambda body: len(body) == 3),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_contexts(face: Face, scene: str) -> None:
    face.play(SCENES[scene])
