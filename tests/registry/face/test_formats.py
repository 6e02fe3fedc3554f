"""JSON Schema and Protobuf: kept, found again, and never judged by guessing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.registry.face.service import Serving, serving

OBJECT = '{"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}'
SAME = '{"properties":{"b":{},"a":{"type":"string"}},"type":"object"}'
OTHER = '{"type": "object"}'
MESSAGE = 'syntax = "proto3";\nmessage A {\n  string a = 1; // said\n}\n'
COMPACT = 'syntax="proto3"; /* x */ message A { string a=1; }'
MORE = 'syntax="proto3"; message A { string a=1; int32 b=2; }'
PAIRS = {"JSON": (OBJECT, SAME, OTHER), "PROTOBUF": (MESSAGE, COMPACT, MORE)}


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as face:
        yield face


def sent(text: str, kind: str) -> dict[str, Any]:
    return {"schema": text, "schemaType": kind}


@pytest.mark.parametrize("kind", PAIRS)
async def test_kept_as_sent_and_found_by_meaning(face: Serving, kind: str) -> None:
    first, same, other = PAIRS[kind]
    given = (await face.client.post("/subjects/a/versions", sent(first, kind))).body
    assert (await face.client.post("/subjects/a/versions", sent(same, kind))).body == given
    assert (await face.client.get("/subjects/a/versions")).body == [1]
    assert (await face.client.get(f"/schemas/ids/{given['id']}")).body == {"schemaType": kind, "schema": first}
    assert (await face.client.post("/subjects/a", sent(same, kind))).body["version"] == 1
    assert (await face.client.post("/subjects/a", sent(other, kind))).body["error_code"] == 40403


@pytest.mark.parametrize("kind", PAIRS)
async def test_what_is_not_judged_is_refused_until_nobody_asks(face: Serving, kind: str) -> None:
    first, same, other = PAIRS[kind]
    await face.client.post("/subjects/a/versions", sent(first, kind))
    check = "/compatibility/subjects/a/versions/latest"
    assert (await face.client.post(check, sent(same, kind))).body == {"is_compatible": True}
    refused = await face.client.post("/subjects/a/versions", sent(other, kind))
    assert (refused.status, refused.body["error_code"], "does not judge" in refused.body["message"]) == (422, 42201, True)
    assert "NONE" in refused.body["message"]
    await face.client.put("/config/a", {"compatibility": "NONE"})
    assert (await face.client.post(check, sent(other, kind))).body == {"is_compatible": True}
    assert (await face.client.post("/subjects/a/versions", sent(other, kind))).status == 200
    assert (await face.client.get("/subjects/a/versions")).body == [1, 2]


async def test_a_subject_does_not_change_its_kind_unless_nobody_asks(face: Serving) -> None:
    await face.client.post("/subjects/a/versions", {"schema": '"string"'})
    refused = await face.client.post("/subjects/a/versions", sent(OBJECT, "JSON"))
    assert (refused.status, refused.body["error_code"]) == (409, 409)
    await face.client.put("/config/a", {"compatibility": "NONE"})
    assert (await face.client.post("/subjects/a/versions", sent(OBJECT, "JSON"))).status == 200
    assert (await face.client.post("/subjects/a/versions", sent(MESSAGE, "PROTOBUF"))).status == 200


async def test_normal_forms_on_request(face: Serving) -> None:
    """`normalize` stores the form that equal schemas share; otherwise the text comes back as each subject sent it."""
    loose = '{"fields": [{"type": {"type": "int"}, "name": "a", "order": "ascending"}], "namespace": "x", "name": "R", "type": "record"}'
    tight = '{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"}]}'
    pairs = (("a", loose), ("b", tight))
    ids = [(await face.client.post(f"/subjects/{name}/versions", {"schema": text})).body["id"] for name, text in pairs]
    await face.client.post("/subjects/c/versions?normalize=true", {"schema": loose})
    texts = [(await face.client.get(f"/subjects/{name}/versions/1/schema")).body for name in ("a", "b", "c")]
    assert ids[0] == ids[1]
    assert texts[:2] == [json.loads(loose), json.loads(tight)]
    assert texts[2] == {"type": "record", "name": "R", "namespace": "x", "fields": [{"name": "a", "type": "int"}]}
    assert (await face.client.post("/subjects/a?normalize=true", {"schema": json.dumps(texts[2])})).body["version"] == 1
