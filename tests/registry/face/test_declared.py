"""Subjects of declared events: read like any others, written through the catalogue, and never taken away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from registry.expected import Expected
from registry.history import Byline
from tests.registry.documents import declaration, payload
from tests.registry.face.service import Serving, serving

EVENT = "player.song_played"
RAW, CLEAN = f"raw.{EVENT}-value", f"clean.{EVENT}-value"
PAYLOAD = payload(("track", "string"), ("inner", {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "int"}]}))


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as face:
        await face.catalog.declare(declaration(EVENT, schema=PAYLOAD), Expected(), Byline())
        yield face


async def wire(face: Serving, subject: str = RAW) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await face.client.get(f"/subjects/{subject}/versions/latest")).body["schema"])
    return found


def with_field(schema: dict[str, Any], *fields: dict[str, Any]) -> dict[str, str]:
    return {"schema": json.dumps(schema | {"fields": [*schema["fields"], *fields]})}


DEVICE = {"name": "device", "type": ["null", "string"], "default": None}


async def test_every_reading_route_knows_them(face: Serving) -> None:
    get = face.client.get
    assert (await get("/subjects")).body == [CLEAN, RAW]
    assert (await get("/subjects?subjectPrefix=raw.")).body == [RAW]
    version = (await get(f"/subjects/{RAW}/versions/1")).body
    schema_id, text = version["id"], version["schema"]
    assert (await get(f"/subjects/{CLEAN}/versions")).body == [1]
    assert (await get(f"/schemas/ids/{schema_id}")).body == {"schemaType": "AVRO", "schema": text}
    assert (await get(f"/schemas/ids/{schema_id}/subjects")).body == [CLEAN, RAW]
    assert (await get(f"/schemas/ids/{schema_id}/versions")).body == [{"subject": name, "version": 1} for name in (CLEAN, RAW)]
    assert [entry["subject"] for entry in (await get("/schemas")).body] == [CLEAN, RAW]
    assert (await get(f"/config/{RAW}")).body == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert (await get(f"/mode/{RAW}")).body == {"mode": "READWRITE"}
    sent = {"schema": json.dumps(json.loads(text), indent=2)}
    assert (await face.client.post(f"/subjects/{CLEAN}", sent)).body["version"] == 1
    assert (await face.client.post(f"/subjects/{CLEAN}/versions", sent)).body == {"id": schema_id}


async def test_a_new_version_is_a_revision_of_the_declaration(face: Serving) -> None:
    before = face.store.event(EVENT)
    assert before is not None
    answer = await face.client.post(f"/subjects/{RAW}/versions", with_field(await wire(face), DEVICE), Hourmark_Author="ada")
    after = face.store.event(EVENT)
    assert after is not None
    assert (answer.status, answer.body, after.schema_version) == (200, {"id": after.schema_id}, 2)
    assert after.revision > before.revision
    unchanged = {name: value for name, value in before.document.items() if name != "schema"}
    assert unchanged.items() <= after.document.items()
    assert after.document["schema"] == PAYLOAD | {"fields": [*PAYLOAD["fields"], DEVICE]}
    assert (await face.client.get(f"/subjects/{CLEAN}/versions")).body == [1, 2]


async def test_their_rule_is_full_transitive(face: Serving) -> None:
    schema = await wire(face)
    check = f"/compatibility/subjects/{RAW}/versions/latest?verbose=true"
    assert (await face.client.post(check, with_field(schema, DEVICE))).body == {"is_compatible": True, "messages": []}
    needy = with_field(schema, {"name": "device", "type": "string"})
    verdict = (await face.client.post(check, needy)).body
    assert (verdict["is_compatible"], "device" in str(verdict["messages"])) == (False, True)
    narrow = with_field(schema, {"name": "mine", "type": "long", "default": 0, "aliases": ["track"]})
    twice = with_field(schema, {"name": "Track", "type": ["null", "string"], "default": None})  # one column of the lake
    for sent in (narrow, twice):
        verdict = (await face.client.post(check, sent)).body
        registered = await face.client.post(f"/subjects/{RAW}/versions", sent)
        assert (verdict["is_compatible"], bool(verdict["messages"]), registered.status >= 400) == (False, True, True)
    refused = await face.client.post(f"/subjects/{RAW}/versions", needy)
    assert (refused.status, refused.body["error_code"], "device" in refused.body["message"]) == (409, 409, True)


async def test_only_wire_schemas_are_taken(face: Serving) -> None:
    schema = await wire(face)
    cases = {
        "a bare payload": {"schema": json.dumps(PAYLOAD)},
        "an envelope that differs": {"schema": json.dumps(schema | {"fields": schema["fields"][1:]})},
        "another name": with_field(schema | {"name": "other"}, DEVICE),
        "what a payload may not hold": with_field(schema, {"name": "_mine", "type": ["null", "int"], "default": None}),
        "attributes of the record": with_field(schema | {"aliases": ["hourmark.events.player.old"]}, DEVICE),
        "a reference": {"schema": json.dumps(schema), "references": [{"name": "a", "subject": CLEAN, "version": 1}]},
    }
    for told, body in cases.items():
        answer = await face.client.post(f"/subjects/{RAW}/versions", body)
        assert (answer.status, answer.body["error_code"]) == (422, 42201), (told, answer.body)
    assert (await face.client.get(f"/subjects/{RAW}/versions")).body == [1]


async def test_nothing_is_taken_away_or_set(face: Serving) -> None:
    for method, path, body in (
        ("DELETE", f"/subjects/{RAW}", None),
        ("DELETE", f"/subjects/{CLEAN}/versions/1", None),
        ("DELETE", f"/subjects/{CLEAN}/versions/1?permanent=true", None),
        ("PUT", f"/config/{RAW}", {"compatibility": "NONE"}),
        ("DELETE", f"/config/{RAW}", None),
        ("PUT", f"/mode/{RAW}", {"mode": "READONLY"}),
        ("DELETE", f"/mode/{RAW}", None),
    ):
        answer = await face.client.ask(method, path, body)
        assert (answer.status, answer.body["error_code"]) == (422, 42205), path


async def test_names_of_event_types_are_kept_for_the_catalogue(face: Serving) -> None:
    sent = {"schema": '"string"'}
    answer = await face.client.post("/subjects/raw.nobody.knows-value/versions", sent)
    assert (answer.status, answer.body["error_code"], "PUT /v1/events" in answer.body["message"]) == (422, 42205, True)
    await face.client.put("/config/alias", {"alias": RAW})
    assert (await face.client.post("/subjects/alias/versions", sent)).body["error_code"] == 42205
    assert (await face.client.post("/subjects/raw.nobody/versions", sent)).status == 200
    assert (await face.client.post("/subjects/:.other:raw.nobody.knows-value/versions", sent)).body == {"id": 1}


async def test_a_registry_that_is_closed_is_closed_for_them_too(face: Serving) -> None:
    await face.client.put("/mode", {"mode": "READONLY"})
    answer = await face.client.post(f"/subjects/{RAW}/versions", with_field(await wire(face), DEVICE))
    assert (answer.status, answer.body["error_code"]) == (422, 42205)


async def test_one_sequence_of_ids(face: Serving) -> None:
    first = (await face.client.get(f"/subjects/{RAW}/versions/1")).body["id"]
    own = (await face.client.post("/subjects/mine/versions", {"schema": '"string"'})).body["id"]
    declared = await face.catalog.declare(declaration("player.other", schema=payload()), Expected(), Byline())
    again = (await face.client.post("/subjects/mine-too/versions", {"schema": '"long"'})).body["id"]
    assert first < own < declared.stored.schema_id < again
    same = {"schema": json.dumps(await wire(face))}
    assert (await face.client.post("/subjects/copies/versions", same)).body["id"] == first
    assert (await face.client.get(f"/schemas/ids/{first}/subjects")).body == [CLEAN, "copies", RAW]


async def test_an_import_does_not_take_their_ids(face: Serving) -> None:
    first = (await face.client.get(f"/subjects/{RAW}/versions/1")).body["id"]
    await face.client.put("/mode/moved", {"mode": "IMPORT"})
    answer = await face.client.post("/subjects/moved/versions", {"schema": '"string"', "id": first, "version": 1})
    assert (answer.status, answer.body["error_code"]) == (422, 42205)
    assert (await face.client.post("/subjects/moved/versions", {"schema": '"string"', "id": 5000, "version": 7})).body == {"id": 5000}
    declared = await face.catalog.declare(declaration("player.other", schema=payload()), Expected(), Byline())
    assert declared.stored.schema_id > 5000
