"""What nobody should send: each is a clear 4xx in Confluent's shape, and the face goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.registry.face.service import Serving, serving


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as face:
        yield face


def nested(depth: int) -> str:
    return '{"type":"array","items":' * depth + '"int"' + "}" * depth


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "another JSON": (b'"schema"', 400),
    "a list": (b"[]", 400),
    "NaN": (b'{"schema": NaN}', 400),
    "no UTF-8": (b'{"schema": "\xff"}', 400),
    "deep JSON": (b'{"schema": ' + b"[" * 200_000, 400),
    "half a pair": (b'{"schema": "\\ud800"}', 422),
    "half a pair in metadata": (b'{"schema": "\\"int\\"", "metadata": {"properties": {"a": "\\ud800"}}}', 422),
    "NUL": (b'{"schema": "message A {} // \\u0000", "schemaType": "PROTOBUF"}', 422),
    "a word with fields that are none": (b'{"schema": "{\\"type\\":\\"int\\",\\"fields\\":\\"x\\",\\"name\\":{}}", "references": 1}', 422),
    "a number": (b'{"schema": 5}', 422),
    "an unknown field": (b'{"schema": "\\"int\\"", "owner": 1}', 422),
    "a wrong type": (b'{"schema": "\\"int\\"", "schemaType": "XML"}', 422),
    "a wrong id": (b'{"schema": "\\"int\\"", "id": "1"}', 422),
    "a huge id": (b'{"schema": "\\"int\\"", "id": 99999999999999999999}', 422),
    "wrong references": (b'{"schema": "\\"int\\"", "references": {}}', 422),
    "a reference to nothing": (b'{"schema": "\\"int\\"", "references": [{"name": "a", "subject": "b", "version": 1}]}', 422),
    "wrong metadata": (b'{"schema": "\\"int\\"", "metadata": {"properties": {"a": 1}}}', 422),
    "wrong rules": (b'{"schema": "\\"int\\"", "ruleSet": {"domainRules": "x"}}', 422),
    "deep Avro": (json.dumps({"schema": nested(5000)}).encode(), 422),
    "too large": (b'{"schema": "' + b" " * 5 * 1024 * 1024 + b'"}', 413),
    "deep JSON Schema": (json.dumps({"schema": '{"not":' * 5000 + "{}" + "}" * 5000, "schemaType": "JSON"}).encode(), 422),
    "deep Protobuf": (json.dumps({"schema": "message A {" * 5000 + "}" * 5000, "schemaType": "PROTOBUF"}).encode(), 422),
    "no Protobuf": (json.dumps({"schema": "message {", "schemaType": "PROTOBUF"}).encode(), 422),
    "no JSON Schema": (json.dumps({"schema": '{"type": "nosuch"}', "schemaType": "JSON"}).encode(), 422),
}


@pytest.mark.parametrize("path", ["/subjects/a/versions", "/subjects/a", "/compatibility/subjects/a/versions"])
async def test_bodies(face: Serving, path: str) -> None:
    for told, (body, status) in BODIES.items():
        answer = await face.client.post(path, body)
        assert (answer.status, set(answer.body)) == (status, {"error_code", "message"}), (told, answer.body)
        assert len(answer.body["message"]) < 5000
    assert (await face.client.get("/subjects")).body == []


ODD_NAMES = ("'; DROP TABLE face_versions; --", "a/b/../c", "ünïcödé 🎵", "%", "_%", "a b", "\\", '"', "x" * 500)
NO_NAMES = ("\0", "a\nb", "\x7f", "x" * 501, "__GLOBAL", "__EMPTY", ":.bad!:a", ":.__GLOBAL:a", ":.c:")


async def test_odd_names_are_names(face: Serving) -> None:
    for name in ODD_NAMES:
        await is_a_name(face, name)


async def is_a_name(face: Serving, name: str) -> None:
    path = f"/subjects/{quote(name, safe='')}"
    assert (await face.client.post(f"{path}/versions", {"schema": '"int"'})).status == 200
    assert (await face.client.get("/subjects")).body == [name]
    assert (await face.client.get(f"{path}/versions/latest")).body["subject"] == name
    assert (await face.client.get(f"/subjects?subjectPrefix={quote(name[:2], safe='')}")).body == [name]
    assert (await face.client.put(f"/config/{quote(name, safe='')}", {"compatibility": "FULL"})).status == 200
    assert (await face.client.ask("DELETE", path)).body == [1]


async def test_names_that_are_none(face: Serving) -> None:
    for name in NO_NAMES:
        answer = await face.client.post(f"/subjects/{quote(name, safe='')}/versions", {"schema": '"int"'})
        assert (answer.status, answer.body["error_code"] in (42205, 42208)) == (422, True), answer.body


async def test_queries_and_paths(face: Serving) -> None:
    await face.client.post("/subjects/a/versions", {"schema": '"int"'})
    for path in ("/subjects?offset=x&limit=-5", "/schemas?offset=99999999999999999999&limit=0", "/subjects/a/versions?deleted=maybe"):
        assert (await face.client.get(path)).status == 200
    for path, status in (
        ("/subjects/a/versions/0", 422),
        ("/subjects/a/versions/2147483648", 422),
        ("/subjects/a/versions/%00", 422),
        ("/subjects/a/versions/%D9%A1", 422),
        ("/schemas/ids/-1", 404),
        ("/schemas/ids/99999999999999999999", 404),
        ("/contexts/.a%2Fb/subjects", 422),
        ("/nothing", 404),
        ("/subjects/a/b/c", 404),
    ):
        answer = await face.client.get(path)
        assert (answer.status, set(answer.body)) == (status, {"error_code", "message"}), path
    answer = await face.client.ask("PATCH", "/subjects")
    assert (answer.status, answer.body["error_code"], answer.headers["Allow"]) == (405, 405, "GET,HEAD")


async def test_attributes_mean_nothing_where_they_do_not_belong(face: Serving) -> None:
    """Avro leaves unknown attributes to their owners, whatever they look like."""
    odd = {"schema": json.dumps({"type": "int", "name": {}, "fields": ["x", {"name": {}}], "namespace": "hourmark.events.a.b"})}
    assert (await face.client.post("/subjects/a/versions", odd)).status == 200
    assert (await face.client.post("/compatibility/subjects/a/versions", odd)).body == {"is_compatible": True}
    assert (await face.client.post("/subjects/raw.a.b-value/versions", odd)).body["error_code"] == 42205


async def test_settings_hold_text_only(face: Serving) -> None:
    for body in (b'{"alias": "\\ud800"}', b'{"alias": 5}', b'{"compatibilityGroup": []}', b'{"normalize": "yes"}', b'{"nosuch": 1}', b"[]"):
        answer = await face.client.put("/config/a", body)
        assert (400 <= answer.status < 423, set(answer.body)) == (True, {"error_code", "message"}), body
    assert (await face.client.get("/config/a")).status == 404


async def test_references_do_not_go_round(face: Serving) -> None:
    """Imports may bring versions in any order, so that a reference can lead back."""
    await face.client.put("/mode?force=true", {"mode": "IMPORT"})
    first = {"schema": '{"type":"record","name":"A","fields":[]}', "id": 1, "version": 1}
    assert (await face.client.post("/subjects/a/versions", first)).status == 200
    uses = {"schema": '{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}', "id": 2, "version": 1}
    assert (await face.client.post("/subjects/b/versions", uses | {"references": [reference("A", "a")]})).status == 200
    back = {"schema": '{"type":"record","name":"A","fields":[{"name":"b","type":["null","B"]}]}', "id": 3, "version": 1}
    answer = await face.client.post("/subjects/a/versions", back | {"references": [reference("B", "b")]})
    assert answer.status == 422
    assert (await face.client.get("/subjects/b/versions/1?format=resolved")).status == 200


def reference(name: str, subject: str) -> dict[str, object]:
    return {"name": name, "subject": subject, "version": 1}
