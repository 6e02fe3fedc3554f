"""Confluent's own client reads our topics through our registry, and knows nothing of us."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from hourmark.event import frame
from registry.app import Registry
from tests.registry.documents import declaration, payload
from tests.registry.service import Client, new_type, settings_for
from tests.registry.test_compile import ENVELOPE_VALUES

pytestmark = pytest.mark.real
schema_registry = pytest.importorskip("confluent_kafka.schema_registry")


@pytest.fixture
async def registry(kafka: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with Registry(settings_for(kafka, tmp_path)) as registry:
        await registry.ready()
        yield registry


async def test_the_avro_deserializer_reads_a_framed_value(registry: Registry) -> None:
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    event = new_type()
    async with Client(registry.url) as client:
        schema = payload(("track", "string"), ("inner", {"type": "record", "name": "I", "fields": [{"name": "x", "type": "int"}]}))
        declared = await client.put(f"/v1/events/{event}", declaration(event, schema=schema))
        wire = (await client.get(f"/v1/events/{event}")).body["wire_schema"]
    out = io.BytesIO()
    out.write(frame(declared.body["schema_id"]))
    identity = uuid.uuid4().bytes
    fastavro.schemaless_writer(
        out, fastavro.parse_schema(wire), {**ENVELOPE_VALUES, "_event_id": identity, "track": "x", "inner": {"x": 5}}
    )

    def read() -> Any:
        client = schema_registry.SchemaRegistryClient({"url": registry.url})
        return AvroDeserializer(client)(out.getvalue(), SerializationContext(f"clean.{event}", MessageField.VALUE))

    found = await asyncio.to_thread(read)
    assert (found["_event_id"], found["track"], found["inner"]) == (identity, "x", {"x": 5})


async def test_the_client_finds_its_way(registry: Registry) -> None:
    event = new_type()
    async with Client(registry.url) as client:
        declared = await client.put(f"/v1/events/{event}", declaration(event))
        await client.put(f"/v1/events/{event}", declaration(event, schema=payload(("track", "string"), ("n", "int", 0))))

    def look() -> None:
        confluent = schema_registry.SchemaRegistryClient({"url": registry.url})
        subject = f"raw.{event}-value"
        assert {subject, f"clean.{event}-value"} <= set(confluent.get_subjects())
        assert confluent.get_versions(subject) == [1, 2]
        first = confluent.get_version(subject, 1)
        assert (first.schema_id, first.version) == (declared.body["schema_id"], 1)
        latest = confluent.get_latest_version(subject)
        assert latest.version == 2
        assert confluent.lookup_schema(subject, latest.schema).schema_id == latest.schema_id
        assert confluent.register_schema(subject, latest.schema) == latest.schema_id
        with pytest.raises(schema_registry.SchemaRegistryError) as caught:
            confluent.register_schema(subject, schema_registry.Schema('"string"', "AVRO"))
        assert caught.value.error_code == 42201
        wire = json.loads(str(latest.schema.schema_str))
        wider = wire | {"fields": [*wire["fields"], {"name": "device", "type": ["null", "string"], "default": None}]}
        registered = confluent.register_schema(subject, schema_registry.Schema(json.dumps(wider), "AVRO"))
        assert registered > latest.schema_id
        assert confluent.get_versions(f"clean.{event}-value") == [1, 2, 3]
        with pytest.raises(schema_registry.SchemaRegistryError) as caught:
            confluent.get_latest_version("raw.nope.nope-value")
        assert caught.value.error_code == 40401

    await asyncio.to_thread(look)


async def test_errors_in_their_words(registry: Registry) -> None:
    event = new_type()
    async with Client(registry.url) as client:
        await client.put(f"/v1/events/{event}", declaration(event))
        subject = f"/subjects/clean.{event}-value"
        cases = {
            "/schemas/ids/999999": (404, 40403),
            "/schemas/ids/x": (404, 404),
            "/schemas/ids/99999999999999999999": (404, 404),
            "/subjects/x/versions": (404, 40401),
            "/nothing/here": (404, 404),
            f"{subject}/versions/7": (404, 40402),
            f"{subject}/versions/zero": (422, 42202),
        }
        for path, (status, number) in cases.items():
            answer = await client.get(path)
            assert (answer.status, answer.body["error_code"]) == (status, number), path
            assert answer.headers["Content-Type"].startswith("application/vnd.schemaregistry.v1+json")
        for body in (b"", b"[]", b"{"):
            answer = await client.post(subject, body)
            assert (answer.status, answer.body["error_code"]) == (400, 400), body
        for body in (b'{"schema": 5}', b'{"schema": "{"}', json.dumps({"schema": "\ud800"}).encode()):
            answer = await client.post(subject, body)
            assert (answer.status, answer.body["error_code"]) == (422, 42201), body
        for path in (subject, f"/config/raw.{event}-value", f"/mode/clean.{event}-value"):
            answer = await client.ask("DELETE", path)
            assert (answer.status, answer.body["error_code"]) == (422, 42205), path
        assert (await client.post(subject, {"schema": '"string"'})).body["error_code"] == 40403


async def test_the_admin_token_is_the_password(kafka: str, tmp_path: Path) -> None:
    async with Registry(settings_for(kafka, tmp_path, admin_token="s3cret")) as registry, Client(registry.url) as client:
        await registry.ready()
        event = new_type()
        await client.put(f"/v1/events/{event}", declaration(event), Authorization="Bearer s3cret")

        def register(**more: str) -> Any:
            confluent = schema_registry.SchemaRegistryClient({"url": registry.url, **more})
            return confluent.register_schema(f"raw.{event}-value", confluent.get_latest_version(f"raw.{event}-value").schema)

        with pytest.raises(schema_registry.SchemaRegistryError) as caught:
            await asyncio.to_thread(register)
        assert (caught.value.http_status_code, caught.value.error_code) == (401, 40101)
        assert await asyncio.to_thread(register, **{"basic.auth.user.info": "ada:s3cret"}) > 0
        refused = await client.ask("DELETE", f"/subjects/raw.{event}-value", Authorization="Bearer s3cret")
        assert refused.body["error_code"] == 42205
        found = await client.get(f"/v1/audit?subject=subject/raw.{event}-value", Authorization="Bearer s3cret")
        assert [row["action"] for row in found.body["audit"]] == ["schema_delete"]
