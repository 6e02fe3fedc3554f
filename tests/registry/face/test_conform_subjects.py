"""Registering, looking up, listing: what everybody's clients expect of subjects, versions and ids."""

from __future__ import annotations

import json

import pytest

from tests.registry.face.steps import Face, Scene, delete, get, level, look_up, post, record, register

ONE, TWO, THREE = record("Play", track="string"), record("Play", track="string", at=("long", 0)), record("Stop", why="int")
SPACED = json.dumps(json.loads(ONE), indent=3)

SCENES: dict[str, Scene] = {
    "a first registration": [
        register(ONE, keep={"id": "id"}),
        get("{at}/subjects/{s}/versions/1", has={"subject": "{s}", "version": 1, "id": "{id}", "schema": ONE, "schemaType": "AVRO"}),
        get("{at}/subjects/{s}/versions/latest", has={"version": 1}),
        get("{at}/subjects/{s}/versions/-1", has={"version": 1}),
        get("{at}/subjects/{s}/versions", same=[1]),
        get("{at}/schemas/ids/{id}", has={"schema": ONE, "schemaType": "AVRO"}, lacks=("references", "maxId", "ruleSet")),
        get("{at}/schemas/ids/{id}/schema", check=lambda body: body == json.loads(ONE), lacks=("schemaType",)),
        get("{at}/subjects/{s}/versions/1/schema", check=lambda body: body == json.loads(ONE), lacks=("subject", "schemaType")),
        get("{at}/subjects/{s}/versions/latest/schema", check=lambda body: body == json.loads(ONE)),
        look_up(ONE, same={"subject": "{s}", "version": 1, "id": "{id}", "schema": ONE, "schemaType": "AVRO"}),
    ],
    "the same again": [register(ONE, keep={"id": "id"}), register(ONE, has={"id": "{id}"}), get("{at}/subjects/{s}/versions", same=[1])],
    "other white space": [
        register(ONE, keep={"id": "id"}),
        register(SPACED, has={"id": "{id}"}),
        look_up(SPACED, has={"version": 1}),
        get("{at}/subjects/{s}/versions", same=[1]),
    ],
    "one id in two subjects": [
        register(ONE, keep={"id": "id"}),
        register(ONE, "{t}", has={"id": "{id}"}),
        get("{at}/schemas/ids/{id}/subjects?deleted=false", check=lambda body: len(body) >= 2, contains=("{s}", "{t}")),
        get("{at}/schemas/ids/{id}/subjects?subject={s}", contains=("{s}",), lacks=("{t}",)),
        get("{at}/schemas/ids/{id}/versions?subject={t}", contains=("{t}",), lacks=("{s}",)),
        get("{at}/schemas/ids/{id}/versions", check=lambda body: all(row.keys() == {"subject", "version"} for row in body)),
    ],
    "a second version": [
        register(ONE, keep={"id": "id"}),
        register(TWO, keep={"id": "next"}, check=lambda body: body["id"] > 0),
        get("{at}/subjects/{s}/versions/latest", has={"version": 2, "id": "{next}"}),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
        get("{at}/schemas/ids/{next}/versions?subject={s}", same=[{"subject": "{s}", "version": 2}]),
    ],
    "types and numbers": [
        get("{at}/schemas/types", check=lambda body: sorted(body) == ["AVRO", "JSON", "PROTOBUF"]),
        register('"string"', keep={"id": "id"}),
        register('{"type": "string"}', "{u}", has={"id": "{id}"}),
        get("{at}/schemas/ids/{id}?fetchMaxId=true", check=lambda body: body["maxId"] >= 1),
        get("{at}/schemas/ids/{id}?format=nonsense", contains=('"schema"',)),
        get("{at}/schemas/ids/{id}?format=resolved", contains=('"schema"',)),
        get("{at}/schemas/ids/{id}/schema?format=default"),
        get("{at}/subjects/{s}/versions/1?format=default", contains=('"schema"',)),
    ],
    "properties of the schema count": [
        level("NONE"),
        register('{"type": "string", "one": "x"}', keep={"id": "id"}),
        register('{"type": "string", "two": "x"}', keep={"id": "next"}, check=lambda body: body["id"] > 0),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
        get("{at}/schemas/ids/{id}", contains=("one",), lacks=("two",)),
    ],
    "documentation counts": [
        register(ONE, keep={"id": "id"}),
        register(json.dumps({**json.loads(ONE), "doc": "what was heard"})),
        get("{at}/subjects/{s}/versions", same=[1, 2]),
    ],
    "unknown subjects": [
        get("{at}/subjects/{s}/versions", 404, 40401, has={"message": "Subject '{s}' not found."}),
        get("{at}/subjects/{s}/versions/1", 404, 40401),
        get("{at}/subjects/{s}/versions/latest", 404, 40401),
        get("{at}/subjects/{s}/versions/1/schema", 404, 40401),
        delete("{at}/subjects/{s}", 404, 40401),
        delete("{at}/subjects/{s}/versions/1", 404, 40401),
        look_up(ONE, status=404, code=40401),
    ],
    "unknown versions": [
        register(ONE),
        get("{at}/subjects/{s}/versions/99", 404, 40402, has={"message": "Version 99 not found."}),
        get("{at}/subjects/{s}/versions/99/schema", 404, 40402),
        delete("{at}/subjects/{s}/versions/99", 404, 40402),
        look_up(THREE, status=404, code=40403, has={"message": "Schema not found"}),
    ],
    "no versions": [
        register(ONE),
        *(
            get("{at}/subjects/{s}/versions/" + bad, 422, 42202, contains=("is not a valid version id",))
            for bad in ("0", "-2", "abc", "1.5")
        ),
        get("{at}/subjects/{s}/versions/2147483648", 422, 42202),
        delete("{at}/subjects/{s}/versions/earliest", 422, 42202),
    ],
    "unknown ids": [
        get("{at}/schemas/ids/999999", 404, 40403, contains=("Schema 999999 not found",)),
        get("{at}/schemas/ids/999999/schema", 404, 40403),
        get("{at}/schemas/ids/999999/subjects", 404, 40403),
        get("{at}/schemas/ids/999999/versions", 404, 40403),
        get("{at}/schemas/ids/first", 404, 404, has={"message": "HTTP 404 Not Found"}),
        get("{at}/schemas/ids/99999999999999999999", 404),
    ],
    "no schemas": [
        *(register(bad, status=422, code=42201) for bad in ("", "not json", "{", '{"type": "record"}', "[", "nosuchtype")),
        register('{"type": "enum", "name": "e", "symbols": {}}', status=422, code=42201),
        register('{"type": "array"}', status=422, code=42201),
        register('{"type": "fixed", "name": "f"}', status=422, code=42201),
        register('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "Gone"}]}', status=422, code=42201),
        register(json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2}), status=422, code=42201),
        post("{at}/subjects/{s}/versions", {}, 422, 42201),
        post("{at}/subjects/{s}/versions", {"schema": ONE, "schemaType": "avro"}, 422),
        post("{at}/subjects/{s}/versions", {"schema": ONE, "schemaType": "XML"}, 422),
        get("{at}/subjects/{s}/versions", 404, 40401),
        register(ONE),
        look_up('{"type": "nosuch"}', status=422, code=42201, contains=("Invalid schema",)),
    ],
    "strange names": [
        *(register(ONE, name) for name in ("com.shop.Order-value", "under_score", "dash-es", "a" * 200)),
        get("{at}/subjects/com.shop.Order-value/versions/1", has={"subject": "com.shop.Order-value"}),
        register(ONE, "{s}%20%C3%A4%2F%3Fx"),
        get("{at}/subjects/{s}%20%C3%A4%2F%3Fx/versions/1", has={"version": 1}),
        register(record("Ünï", a="string"), status=422, code=42201),
        register(json.dumps({"type": "record", "name": "U", "doc": "日本語", "fields": [{"name": "a", "type": "int", "doc": "имя"}]})),
        get("{at}/subjects/{s}/versions/1", has={"version": 1}),
    ],
    "lists of subjects": [
        *(register(ONE, "{s}-" + name) for name in "abc"),
        get("{at}/subjects?subjectPrefix={s}-", check=lambda body: len(body) == 3),
        get("{at}/subjects?subjectPrefix={s}-&limit=2", check=lambda body: len(body) == 2),
        get("{at}/subjects?subjectPrefix={s}-&offset=1&limit=1", contains=("{s}-b",), lacks=("{s}-a", "{s}-c")),
        get("{at}/subjects?subjectPrefix={s}-&offset=999", same=[]),
        get("{at}/subjects?subjectPrefix={s}-&limit=-1", check=lambda body: len(body) == 3),
        get("{at}/subjects?subjectPrefix={s}-&limit=0", check=lambda body: len(body) == 3),
        get("{at}/subjects?subjectPrefix={s}-&deletedOnly=true", same=[]),
        delete("{at}/subjects/{s}-b"),
        get("{at}/subjects?subjectPrefix={s}-", contains=("{s}-a", "{s}-c"), lacks=("{s}-b",)),
        get("{at}/subjects?subjectPrefix={s}-&deleted=true", check=lambda body: len(body) == 3),
        get("{at}/subjects?subjectPrefix={s}-&deletedOnly=true", contains=("{s}-b",), lacks=("{s}-a", "{s}-c")),
        get("{at}/subjects?subjectPrefix={s}-&deleted=true&deletedOnly=true", check=lambda body: len(body) == 1),
        get("{at}/subjects", contains=("{s}-a",), lacks=("{s}-b",)),
    ],
    "lists of schemas": [
        register(ONE),
        register(TWO),
        register(THREE, "{t}"),
        get("{at}/schemas?subjectPrefix={s}", check=lambda body: [row["version"] for row in body] == [1, 2]),
        get("{at}/schemas?subjectPrefix={s}&latestOnly=true", check=lambda body: [row["version"] for row in body] == [2]),
        get("{at}/schemas?subjectPrefix={s}&offset=1&limit=1", check=lambda body: [row["version"] for row in body] == [2]),
        get("{at}/schemas?subjectPrefix={s}&offset=9999", same=[]),
        get("{at}/schemas?offset=0&limit=1", check=lambda body: len(body) == 1),
        delete("{at}/subjects/{s}/versions/2"),
        get("{at}/schemas?subjectPrefix={s}", check=lambda body: [row["version"] for row in body] == [1]),
        get("{at}/schemas?subjectPrefix={s}&deleted=true", check=lambda body: [row["version"] for row in body] == [1, 2]),
        get("{at}/schemas?subjectPrefix={s}&latestOnly=true", check=lambda body: [row["version"] for row in body] == [1]),
    ],
    "lists of versions": [
        level("NONE"),
        register(ONE),
        register(TWO),
        register(THREE),
        get("{at}/subjects/{s}/versions?offset=1&limit=1", same=[2]),
        get("{at}/subjects/{s}/versions?deletedOnly=true", same=[]),
        delete("{at}/subjects/{s}/versions/1", same=1),
        get("{at}/subjects/{s}/versions", same=[2, 3]),
        get("{at}/subjects/{s}/versions?deleted=true", same=[1, 2, 3]),
        get("{at}/subjects/{s}/versions?deletedOnly=true", same=[1]),
        get("{at}/subjects/{s}/versions?deletedOnly=true&deleted=true", same=[1]),
    ],
    "other kinds of schema": [
        level("NONE"),
        register(ONE),
        register('{"type": "object", "properties": {"a": {"type": "string"}}}', body={"schemaType": "JSON"}, keep={"id": "id"}),
        register('syntax = "proto3"; message M { string a = 1; }', body={"schemaType": "PROTOBUF"}),
        get("{at}/subjects/{s}/versions", same=[1, 2, 3]),
        get("{at}/subjects/{s}/versions/2", has={"schemaType": "JSON", "id": "{id}"}),
        get("{at}/subjects/{s}/versions/3", has={"schemaType": "PROTOBUF"}),
        get("{at}/schemas/ids/{id}", has={"schemaType": "JSON"}),
        look_up('{"type": "object", "properties": {"a": {"type": "string"}}}', body={"schemaType": "JSON"}, has={"version": 2}),
        register("{not json", body={"schemaType": "JSON"}, status=422, code=42201),
        register("message {", body={"schemaType": "PROTOBUF"}, status=422, code=42201),
    ],
    "namespaces as Java lets them through": [
        register({"type": "record", "name": "Play", "namespace": "org.our-shop.2", "fields": []}),
        register({"type": "record", "name": "org.our-shop.2.Play", "doc": "the same name", "fields": []}),
        register({"type": "record", "name": "Play", "namespace": "org.our shop", "fields": []}, "{t}", 422, 42201),
        register({"type": "record", "name": "Play", "namespace": "org..shop", "fields": []}, "{t}", 422, 42201),
        register({"type": "record", "name": "org.our-shop.The-play", "fields": []}, "{t}", 422, 42201),
        register(record("Play", **{"our-track": "string"}), "{t}", 422, 42201),
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_subjects(face: Face, at: str, scene: str) -> None:
    face.play(SCENES[scene], at=at)


def _nested(namespace: str | None) -> str:
    inner: dict[str, object] = {"type": "record", "name": "Inner", "fields": [{"name": "n", "type": "int"}]}
    if namespace is not None:
        inner["namespace"] = namespace
    return json.dumps({"type": "record", "name": "Outer", "namespace": "org.x", "fields": [{"name": "i", "type": inner}]})


def _through(kind: str, namespace: str | None) -> str:
    schema = json.loads(_nested(namespace))
    inner = schema["fields"][0]["type"]
    wrapped = {"array": {"type": "array", "items": inner}, "map": {"type": "map", "values": inner}, "union": ["null", inner]}
    schema["fields"][0]["type"] = wrapped[kind]
    return json.dumps(schema)


SPACES: dict[str, Scene] = {
    "inherited and explicit are one": [
        register(_nested("org.x"), keep={"id": "id"}),
        register(_nested(None), "{t}", has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions/1", contains=("org.x",)),
        look_up(_nested(None), has={"version": 1}),
        register(_nested(None), has={"id": "{id}"}),
        get("{at}/subjects/{s}/versions", same=[1]),
    ],
    "another is another": [
        register(_nested(None), keep={"id": "id"}),
        register(_nested("org.y"), "{t}", keep={"id": "other"}),
        get("{at}/schemas/ids/{id}/subjects", lacks=("{t}",)),
    ],
    **{
        f"through {kind}": [register(_through(kind, "org.x"), keep={"id": "id"}), register(_through(kind, None), "{t}", has={"id": "{id}"})]
        for kind in ("array", "map", "union")
    },
    "full name and namespace": [
        register('{"type": "record", "name": "org.z.R", "fields": []}', keep={"id": "id"}),
        register('{"type": "record", "name": "R", "namespace": "org.z", "fields": []}', "{t}", has={"id": "{id}"}),
    ],
}


@pytest.mark.parametrize("scene", SPACES)
def test_namespaces(face: Face, at: str, scene: str) -> None:
    face.play(SPACES[scene], at=at)
