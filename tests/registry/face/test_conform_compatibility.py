"""Which evolution each level lets through, and how the question is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.registry.face.steps import Face, Scene, delete, get, level, post, put, record, register, sent

ROW = record("Row", a="string")
DEFAULTED, NEEDY, OTHER = record("Row", a="string", b=("string", "x")), record("Row", a="string", b="string"), record("Row", a="int")
LATEST = "{at}/compatibility/subjects/{s}/versions/latest"


def field(kind: Any) -> str:
    return record("Row", a=kind)


def enum(*symbols: str, name: str = "E", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F", **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size, **more}


def renamed(name: str, old: str) -> str:
    return json.dumps({"type": "record", "name": "Row", "fields": [{"name": name, "type": "string", "aliases": [old]}]})


def inner(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record("In", **fields))
    return found


# old, new: may the new one read data of the old one (backward)? may the old one read data of the new one (forward)?
PAIRS: dict[str, tuple[str, str, bool, bool]] = {
    "a field with a default comes": (ROW, DEFAULTED, True, True),
    "a field without a default comes": (ROW, NEEDY, False, True),
    "a field with a default goes": (DEFAULTED, ROW, True, True),
    "a field without a default goes": (NEEDY, ROW, True, False),
    "another name, with an alias": (ROW, renamed("b", "a"), True, False),
    "another name": (ROW, record("Row", b="string"), False, False),
    "another order": (NEEDY, record("Row", b="string", a="string"), True, True),
    "a record of another name": (ROW, record("Line", a="string"), False, False),
    "a type becomes a union": (ROW, field(["null", "string"]), True, False),
    "a union becomes a type": (field(["null", "string"]), ROW, False, True),
    "a union grows": (field(["null", "string"]), field(["null", "string", "int"]), True, False),
    "a union shrinks": (field(["null", "string", "int"]), field(["null", "string"]), False, True),
    "a union in another order": (field(["null", "string"]), field(["string", "null"]), True, True),
    **{
        f"{old} to {new}": (field(old), field(new), True, False)
        for old, new in (("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"), ("float", "double"))
    },
    "string to bytes": (field("string"), field("bytes"), True, True),
    **{
        f"{old} to {new}": (field(old), field(new), False, False)
        for old, new in (("string", "int"), ("boolean", "int"), ("double", "string"), ("long", "bytes"), ("null", "string"))
    },
    "an enum grows": (field(enum("A", "B")), field(enum("A", "B", "C")), True, False),
    "an enum with a default grows": (field(enum("A", "B", default="A")), field(enum("A", "B", "C", default="A")), True, True),
    "an enum of another name": (field(enum("A")), field(enum("A", name="G")), False, False),
    "fixed of another size": (field(fixed(4)), field(fixed(8)), False, False),
    "fixed of another name": (field(fixed(4)), field(fixed(4, "G")), False, False),
    "fixed with an alias more": (field(fixed(4)), field(fixed(4, aliases=["G"])), True, True),
    "items widen": (field({"type": "array", "items": "int"}), field({"type": "array", "items": "long"}), True, False),
    "values widen": (field({"type": "map", "values": "int"}), field({"type": "map", "values": "long"}), True, False),
    "an array becomes a map": (field({"type": "array", "items": "int"}), field({"type": "map", "values": "int"}), False, False),
    "a field comes inside": (field(inner(n="int")), field(inner(n="int", m=("int", 1))), True, True),
    "a needed field comes inside": (field(inner(n="int")), field(inner(n="int", m="int")), False, True),
    "a needed field comes inside a union": (field(["null", inner(n="int")]), field(["null", inner(n="int", m="int")]), False, True),
    "a needed field comes inside items": (
        field({"type": "array", "items": inner(n="int")}),
        field({"type": "array", "items": inner(n="int", m="int")}),
        False,
        True,
    ),
    "a logical type comes": (field("long"), field({"type": "long", "logicalType": "timestamp-millis"}), True, True),
    "documentation comes": (ROW, json.dumps({**json.loads(ROW), "doc": "a row"}), True, True),
    "top: string to bytes": ('"string"', '"bytes"', True, True),
    "top: int to long": ('"int"', '"long"', True, False),
    "top: array to a union of it": (
        '{"type": "array", "items": "string"}',
        '[{"type": "array", "items": "string"}, "string"]',
        True,
        False,
    ),
    "top: enum grows": (json.dumps(enum("A")), json.dumps(enum("A", "B")), True, False),
}


def _told(body: Any) -> bool:
    """Not compatible, and why."""
    return body["is_compatible"] is False and bool(body["messages"])


@pytest.mark.parametrize("pair", PAIRS)
def test_levels(face: Face, pair: str) -> None:
    old, new, backward, forward = PAIRS[pair]
    verdicts = {"NONE": True, "BACKWARD": backward, "FORWARD": forward, "FULL": backward and forward}
    asked = [
        call
        for name, verdict in verdicts.items()
        for call in (
            put("{at}/config/{s}", {"compatibility": name}),
            post(LATEST, sent(new), same={"is_compatible": verdict}) if verdict else post(LATEST + "?verbose=true", sent(new), check=_told),
        )
    ]
    made = [
        call
        for name, verdict in verdicts.items()
        for call in (
            put("{at}/config/{t}" + name, {"compatibility": name}),
            register(old, "{t}" + name),
            register(new, "{t}" + name, 200 if verdict else 409, None if verdict else 409),
        )
    ]
    face.play([register(old), *asked, *made])


def _chain(name: str, *schemas: str, refused: str) -> Scene:
    """All but the last under the level; the last under it is refused, without `_TRANSITIVE` it would not be."""
    free = name.removesuffix("_TRANSITIVE")
    return [
        put("{at}/config/{s}", {"compatibility": "NONE"}),
        *(register(schema) for schema in schemas),
        put("{at}/config/{s}", {"compatibility": name}),
        post("{at}/compatibility/subjects/{s}/versions", sent(refused), has={"is_compatible": False}),
        post(LATEST, sent(refused), has={"is_compatible": True}),
        post("{at}/compatibility/subjects/{s}/versions/1", sent(refused), has={"is_compatible": False}),
        register(refused, status=409),
        put("{at}/config/{s}", {"compatibility": free}),
        register(refused),
    ]


SCENES: dict[str, Scene] = {
    "backward, all versions": _chain(
        "BACKWARD_TRANSITIVE",
        record("R", a="int"),
        record("R", a="int", b=("string", "x")),
        refused=record("R", a="int", b="string", c=("string", "y")),
    ),
    "forward, all versions": _chain(
        "FORWARD_TRANSITIVE", record("R", a="int", b="int"), record("R", a="int"), refused=record("R", a="int", c="int")
    ),
    "full, all versions": _chain("FULL_TRANSITIVE", field("string"), field("int"), refused=record("Row", a="int", b=("int", 0))),
    "asked against one version": [
        register(ROW),
        post("{at}/compatibility/subjects/{s}/versions/1", sent(DEFAULTED), same={"is_compatible": True}),
        post("{at}/compatibility/subjects/{s}/versions/1", sent(NEEDY), same={"is_compatible": False}),
        post("{at}/compatibility/subjects/{s}/versions/1", sent("{"), 422, 42201),
        post(
            "{at}/compatibility/subjects/{s}/versions/1?verbose=true", sent("{"), has={"is_compatible": False}, contains=("Invalid schema",)
        ),
        post("{at}/compatibility/subjects/{s}/versions/1?verbose=true", sent(NEEDY), has={"is_compatible": False}, contains=("messages",)),
        post("{at}/compatibility/subjects/{s}/versions?verbose=true", sent(NEEDY), has={"is_compatible": False}, contains=("messages",)),
        post("{at}/compatibility/subjects/{s}/versions", sent(DEFAULTED), has={"is_compatible": True}),
        get("{at}/subjects/{s}/versions", same=[1]),
    ],
    "asked of what is not there": [
        post("{at}/compatibility/subjects/{s}/versions/1", sent(ROW), 404, 40402),
        post(LATEST, sent(ROW), has={"is_compatible": True}),
        post("{at}/compatibility/subjects/{s}/versions", sent(ROW), has={"is_compatible": True}),
        register(ROW),
        post("{at}/compatibility/subjects/{s}/versions/100", sent(ROW), 404, 40402),
        post("{at}/compatibility/subjects/{s}/versions/earliest", sent(ROW), 422, 42202),
        post("{at}/compatibility/subjects/{s}/versions/0", sent(ROW), 422, 42202),
        post(LATEST, sent("nonsense"), 422, 42201),
        post(LATEST, {}, 422, 42201),
    ],
    "the message of a refusal": [
        register(ROW),
        register(NEEDY, status=409, code=409, contains=("Schema being registered is incompatible with an earlier schema",)),
    ],
    "a refused schema leaves nothing": [
        register(ROW),
        register(NEEDY, status=409),
        get("{at}/subjects/{s}/versions", same=[1]),
        register(DEFAULTED),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
    ],
    "an old version may come again": [
        level("NONE", "{s}"),
        register(ROW, keep={"id": "id"}),
        register(OTHER),
        level("FULL", "{s}"),
        register(ROW, has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
    ],
    "another kind is not compatible": [
        register(ROW),
        register('{"type": "object"}', status=409, body={"schemaType": "JSON"}),
        delete("{at}/subjects/{s}"),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_asking(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)
