"""One event through the real receiver and one straight to Kafka: the same bytes, but for what the attempt itself changes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest

from hourmark_client import AsyncClient, Verdict
from receiver.app import Receiver
from receiver.settings import Settings as ReceiverSettings
from registry.app import Registry
from tests.client.schemas import EVERYTHING
from tests.client.test_avro import GOOD
from tests.integration.test_client_kafka import read_raw
from tests.registry.documents import declaration
from tests.registry.service import Client as RegistryClient
from tests.registry.service import new_type, settings_for

pytestmark = pytest.mark.real
KEY = secrets.token_urlsafe(16)


class Services(NamedTuple):
    receiver: str
    registry: str
    kafka: str


@pytest.fixture
async def services(kafka: str, tmp_path: Path) -> AsyncIterator[Services]:
    settings = settings_for(kafka, tmp_path, local_write_key=KEY)
    async with Registry(settings) as registry:
        await registry.ready()
        listening = ReceiverSettings(kafka=kafka, registry_url=registry.url, home=tmp_path, listen="127.0.0.1:0")
        async with Receiver(listening) as receiver:
            for _ in range(600):
                if not receiver.not_ready():
                    break
                await asyncio.sleep(0.05)
            yield Services(receiver.url, registry.url, kafka)


async def declared(services: Services, fields: list[dict[str, Any]], **more: Any) -> tuple[str, Any]:
    event = new_type()
    async with RegistryClient(services.registry) as client:
        schema = {"type": "record", "name": "Payload", "fields": fields}
        answer = await client.put(f"/v1/events/{event}", declaration(event, schema=schema, **more))
        assert answer.status in (200, 201), answer.body
        wire = (await client.get(f"/v1/events/{event}")).body["wire_schema"]
    return event, fastavro.parse_schema(wire)


async def both(services: Services, event: str, payload: dict[str, Any], event_id: str) -> tuple[Verdict, Verdict]:
    common: dict[str, Any] = {"time": datetime(2026, 3, 1, 7, tzinfo=UTC), "event_id": event_id}
    over_http = AsyncClient.http(services.receiver, write_key=KEY, app="web", install="box")
    straight = AsyncClient.kafka(services.kafka, registry=services.registry, app="web", install="box")
    async with over_http, straight:
        first = await (await over_http.submit(event, payload, **common))
        second = await (await straight.submit(event, payload, **common))
    return first, second


def decoded(message: Any, schema: Any) -> dict[str, Any]:
    record: Any = fastavro.schemaless_reader(BytesIO(message.value()[5:]), schema, None)
    return {name: value for name, value in record.items() if name not in ("_sent_at", "_received_at")}


@pytest.mark.parametrize("key", [None, "text", "large", "uuid"])
async def test_both_ways_give_the_same_record(services: Services, key: str | None) -> None:
    event, schema = await declared(services, EVERYTHING, key=key)
    event_id = "01950000-0000-7000-8000-00000000abcd"
    first, second = await both(services, event, GOOD, event_id)
    assert (first.verdict, second.verdict) == ("stored", "stored"), (first, second)
    assert first.partition == second.partition
    one, two = await asyncio.to_thread(read_raw, services.kafka, event, 2, 8)
    assert (one.key(), one.partition(), one.value()[:21]) == (two.key(), two.partition(), two.value()[:21])
    assert decoded(one, schema) == decoded(two, schema)
    assert len(one.value()) == len(two.value())


@pytest.mark.parametrize(
    "change", [{"large": "x"}, {"unknown": 1}, {"colour": "GREEN"}, {"price": "1.234"}, {"inner": {"class": 1, "deep": []}}, {"either": {}}]
)
async def test_both_ways_refuse_the_same(services: Services, change: dict[str, Any]) -> None:
    event, _ = await declared(services, EVERYTHING)
    first, second = await both(services, event, {**GOOD, **change}, "01950000-0000-7000-8000-00000000abcd")
    assert (first.verdict, first.code, first.path) == (second.verdict, second.code, second.path)
    assert first.code == "schema_mismatch"


async def test_blocked_types_and_wrong_keys(services: Services) -> None:
    event, _ = await declared(services, EVERYTHING, lifecycle="blocked")
    first, second = await both(services, event, GOOD, "01950000-0000-7000-8000-00000000abcd")
    assert (first.verdict, first.code) == (second.verdict, second.code) == ("rejected", "blocked_event_type")
    async with AsyncClient.http(services.receiver, write_key="wrong", app="web") as client:
        verdict = await (await client.submit(event, GOOD))
    assert verdict.verdict == "rejected"


async def test_an_undeclared_type_is_parked_by_the_receiver(services: Services) -> None:
    async with AsyncClient.http(services.receiver, write_key=KEY, app="web") as client:
        verdict = await (await client.submit(new_type(), {"n": 1}))
    assert verdict.verdict == "parked"


async def test_ten_thousand_events_in_batches(services: Services) -> None:
    event, _ = await declared(services, [{"name": "n", "type": "long"}])
    async with AsyncClient.http(services.receiver, write_key=KEY, app="web") as client:
        for n in range(10_000):
            await client.send(event, {"n": n})
        assert await client.flush(60)
        assert client.stats().stored == 10_000
    messages = await asyncio.to_thread(read_raw, services.kafka, event, 10_000, 8)
    assert len({message.value()[5:21] for message in messages}) == len(messages) == 10_000
