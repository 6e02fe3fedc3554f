"""validateFields: names of fields that metadata reserve stay unused, and stay reserved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.face.steps import Call, Face, Scene, delete, get, put, record, register

PLAY, MORE, MAIL = record("Play", track="string"), record("Play", track="string", at=("long", 0)), record("Play", mail="string")
CLASH = "field that conflicts with the reserved field {}"
GONE = "reserved field {} removed"


def reserve(names: str) -> dict[str, Any]:
    return {"metadata": {"properties": {"confluent:reserved": names}}}


def config(place: str = "/{s}", *, on: bool | None = True, level: str = "NONE") -> Call:
    return put("{at}/config" + place, {"compatibility": level, "validateFields": on})


SCENES: dict[str, Scene] = {
    "shown in config, and taken away by null": [
        config(""),
        get("{at}/config", has={"validateFields": True}),
        config("", on=False),
        get("{at}/config", has={"validateFields": False}),
        config("", on=None),
        get("{at}/config", lacks=("validateFields",)),
        config(),
        get("{at}/config/{s}", has={"validateFields": True}),
        put("{at}/config/{s}", {"validateFields": "yes"}, 422),
    ],
    "a field with a reserved name": [
        config(""),
        register(MAIL, status=409, code=409, body=reserve("mail"), contains=(CLASH.format("mail"),)),
        register(MAIL, status=409, body=reserve(" phone , mail "), contains=(CLASH.format("mail"),)),
        get("{at}/subjects/{s}/versions", 404, 40401),
        register(PLAY, body=reserve("mail, phone")),
        register(MAIL, status=409, body=reserve("mail,phone"), contains=(CLASH.format("mail"),)),
        register(MAIL, status=409, contains=(CLASH.format("mail"),)),
    ],
    "a name is reserved for ever": [
        config(),
        register(PLAY, body=reserve("mail,phone")),
        register(MORE, status=409, code=409, body=reserve("phone"), contains=(GONE.format("mail"),)),
        register(MORE, status=409, body={"metadata": {"properties": {"owner": "sound"}}}, contains=(GONE.format("phone"),)),
        register(MORE, body=reserve("phone,mail,fax")),
    ],
    "kept by versions that say nothing": [config(), register(PLAY, body=reserve("mail")), register(MORE), register(MAIL, status=409)],
    "at every level of compatibility": [
        config(level="BACKWARD"),
        register(PLAY, body=reserve("mail")),
        register(record("Play", track="string", mail=("string", "")), status=409, contains=(CLASH.format("mail"),)),
    ],
    "not asked for": [register(MAIL, body=reserve("mail")), register(record("Play", mail="string", at=("long", 0)), body=reserve("phone"))],
    "a subject's word counts": [
        config("", on=False),
        config(),
        register(MAIL, status=409, body=reserve("mail")),
        register(MAIL, "{t}", body=reserve("mail")),
        config("/{s}", on=False),
        register(MAIL, body=reserve("mail")),
        delete("{at}/config/{s}"),
    ],
    "JSON Schema and Protobuf": [
        config(),
        register(
            {"type": "object", "properties": {"mail": {"type": "string"}}}, status=409, body={"schemaType": "JSON", **reserve("mail")}
        ),
        register(
            'syntax = "proto3"; message Play { string mail = 1; }',
            status=409,
            body={"schemaType": "PROTOBUF", **reserve("mail")},
            contains=(CLASH.format("mail"),),
        ),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_reserved_names(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)
