"""One event through the real receiver and one straight to Kafka: the same bytes, but for what the attempt itself changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from hourmark_client import AsyncClient, Verdict
from tests.client.schemas import EVERYTHING
from tests.client.test_avro import GOOD
from tests.integration.front_door import KEY, Services, declared, decoded
from tests.integration.test_client_kafka import read_raw
from tests.registry.service import new_type

pytestmark = pytest.mark.real


async def both(services: Services, event: str, payload: dict[str, Any], event_id: str) -> tuple[Verdict, Verdict]:
    common: dict[str, Any] = {"time": datetime(2026, 3, 1, 7, tzinfo=UTC), "event_id": event_id}
    over_http = AsyncClient.http(services.receiver, write_key=KEY, app="web", install="box")
    straight = AsyncClient.kafka(services.kafka, registry=services.registry, app="web", install="box")
    async with over_http, straight:
        first = await (await over_http.submit(event, payload, **common))
        second = await (await straight.submit(event, payload, **common))
    return first, second


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
