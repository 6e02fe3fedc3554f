"""Schemas that use schemas of other subjects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.registry.face.steps import Face, Scene, delete, get, level, look_up, post, record, register

BASE = json.dumps({"type": "record", "name": "Base", "namespace": "org.x", "fields": [{"name": "id", "type": "string"}]})
LONG = BASE.replace('"string"', '"long"')
SHORT = json.dumps({"type": "record", "name": "User", "namespace": "org.x", "fields": [{"name": "base", "type": "Base"}]})
TOP = json.dumps({"type": "record", "name": "Top", "namespace": "org.x", "fields": [{"name": "base", "type": "org.x.Base"}]})


def uses(name: str = "org.x.Base", subject: str = "{s}", version: Any = 1) -> dict[str, Any]:
    return {"references": [{"name": name, "subject": subject, "version": version}]}


SCENES: dict[str, Scene] = {
    "one uses another": [
        register(BASE),
        register(TOP, "{t}", body=uses(), keep={"id": "id"}),
        get("{at}/schemas/ids/{id}", has={"references": [{"name": "org.x.Base", "subject": "{s}", "version": 1}], "schema": TOP}),
        get("{at}/subjects/{t}/versions/1", has={"references": [{"name": "org.x.Base", "subject": "{s}", "version": 1}]}),
        get("{at}/subjects/{s}/versions/1/referencedby", same=["{id}"]),
        get("{at}/subjects/{s}/versions/latest/referencedby", same=["{id}"]),
        get("{at}/subjects/{t}/versions/1/referencedby", same=[]),
        get("{at}/schemas/ids/{id}?format=resolved", contains=("org.x", "string")),
        look_up(TOP, "{t}", body=uses(), has={"id": "{id}", "version": 1}),
        register(TOP, "{t}", body=uses(), has={"id": "{id}"}),
    ],
    "by any name of the reference": [
        register(BASE),
        register(SHORT, "{t}", body=uses("base.avsc")),
        register(TOP, "{u}", body=uses("other.avsc")),
    ],
    "latest": [
        register(BASE),
        register(TOP, "{t}", body=uses(version=-1)),
        get("{at}/subjects/{s}/versions/1/referencedby", check=lambda body: len(body) == 1),
    ],
    "through another": [
        register(BASE),
        register(SHORT, "{t}", body=uses()),
        register(
            json.dumps({"type": "record", "name": "Last", "namespace": "org.x", "fields": [{"name": "user", "type": "User"}]}),
            "{u}",
            body=uses("org.x.User", "{t}"),
        ),
        get("{at}/subjects/{t}/versions/1/referencedby", check=lambda body: len(body) == 1),
    ],
    "to nothing": [
        register(TOP, "{t}", 422, 42201, body=uses()),
        register(BASE),
        register(TOP, "{t}", 422, 42201, body=uses(version=9)),
        register(TOP, "{t}", 422, 42201),
        register(TOP, "{t}", 422, body={"references": [{"name": "x"}]}),
        register(TOP, "{t}", 422, body={"references": "all"}),
        get("{at}/subjects/{s}/versions/9/referencedby", 404, 40402),
        get("{at}/subjects/{u}/versions/1/referencedby", 404, 40401),
        get("{at}/subjects/{s}/versions/x/referencedby", 422, 42202),
    ],
    "to itself": [
        register(BASE),
        register(
            json.dumps(
                {
                    "type": "record",
                    "name": "Tree",
                    "namespace": "org.x",
                    "fields": [{"name": "up", "type": ["null", "Tree"]}, {"name": "b", "type": "Base"}],
                }
            ),
            "{t}",
            body=uses(),
        ),
    ],
    "what is used is not deleted": [
        level("NONE"),
        register(BASE),
        register(TOP, "{t}", body=uses()),
        delete("{at}/subjects/{s}/versions/1", 422, 42206, contains=("reference",)),
        delete("{at}/subjects/{s}", 422, 42206),
        delete("{at}/subjects/{t}"),
        delete("{at}/subjects/{t}?permanent=true"),
        delete("{at}/subjects/{s}"),
        delete("{at}/subjects/{s}?permanent=true"),
    ],
    "users in the bin hold nothing": [
        level("NONE"),
        register(BASE),
        register(TOP, "{t}", body=uses(), keep={"id": "id"}),
        delete("{at}/subjects/{t}"),
        get("{at}/subjects/{s}/versions/1/referencedby", same=[]),
        delete("{at}/subjects/{s}/versions/1"),
        register(TOP, "{u}", 422, 42201, body=uses()),
        delete("{at}/subjects/{s}?permanent=true"),
        register(TOP, "{u}", 422, 42201, body=uses()),
        get("{at}/subjects/{t}/versions/1?deleted=true", has={"id": "{id}"}),
        register(BASE),
        register(TOP, "{u}", body=uses(), has={"id": "{id}"}),
    ],
    "two use one": [
        level("NONE"),
        register(BASE),
        register(TOP, "{t}", body=uses(), keep={"id": "first"}),
        register(SHORT, "{u}", body=uses(), keep={"id": "second"}),
        get("{at}/subjects/{s}/versions/1/referencedby", same=["{first}", "{second}"]),
        delete("{at}/subjects/{t}"),
        get("{at}/subjects/{s}/versions/1/referencedby", same=["{second}"]),
        delete("{at}/subjects/{s}", 422, 42206),
    ],
    "empty lists": [
        register(BASE, body={"references": []}, keep={"id": "id"}),
        register(BASE, body={"references": None}, has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions/1", lacks=("references",)),
    ],
    "the same text with other references": [
        level("NONE"),
        register(BASE),
        register(LONG),
        register(TOP, "{t}", body=uses(version=1)),
        register(TOP, "{t}", body=uses(version=2)),
        get("{at}/subjects/{t}/versions", same=[1, 2]),
        look_up(TOP, "{t}", body=uses(version=2), has={"version": 2}),
    ],
    "compatibility looks into them": [
        level("NONE"),
        register(BASE),
        register(LONG),
        register(TOP, "{t}", body=uses(version=1)),
        level("BACKWARD", "{t}"),
        post("{at}/compatibility/subjects/{t}/versions/latest", {"schema": TOP, **uses(version=2)}, has={"is_compatible": False}),
        post("{at}/compatibility/subjects/{t}/versions/latest", {"schema": TOP, **uses(version=1)}, has={"is_compatible": True}),
        register(TOP, "{t}", 409, body=uses(version=2)),
        register(record("Other", b="org.x.Base"), "{t}", 409, body=uses(version=1)),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_references(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)
