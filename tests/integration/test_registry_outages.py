"""Kafka goes away, comes back empty, the registry stops half-way: nobody hears of a change, or all of it follows."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from benchmarks.catalogue import fill
from hourmark.kafka import partition_counts
from hourmark.schemas import EventType, decode_entry
from hourmark.topics import CONTROL, clean_topic, raw_topic
from local.kafka import KafkaServer
from registry.app import Registry
from registry.catalog import draft, wanted_topics
from registry.database import Database
from registry.declaration import read
from registry.history import Byline
from registry.provision import Provisioner
from registry.store import Store
from tests.registry.documents import declaration
from tests.registry.service import Client, new_type, records, running, settings_for, until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of our own: these tests stop and empty it."""
    server = KafkaServer(tmp_path_factory.mktemp("registry-kafka"), heap_mb=256)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def broadcast(kafka: str, event: str) -> list[EventType]:
    entries = [decode_entry(m.value() or b"") for m in records(kafka, CONTROL) if m.value()]
    return [e for e in entries if isinstance(e, EventType) and e.event == event]


async def test_kafka_away_during_a_declaration(server: KafkaServer, tmp_path: Path) -> None:
    before, during = new_type(), new_type()
    async with running(settings_for(server.bootstrap, tmp_path)) as client:
        assert (await client.put(f"/v1/events/{before}", declaration(before))).status == 201
        await asyncio.to_thread(server.stop)
        refused = await client.put(f"/v1/events/{during}", declaration(during))
        assert (refused.status, refused.body["code"]) == (503, "broker_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await client.put("/v1/keys/web", {"types": ["*"]})).status == 503
        assert (await client.get("/v1/keys")).body["keys"] == []
        assert (await client.get(f"/v1/events/{during}")).status == 404
        assert (await client.get(f"/v1/events/{before}")).status == 200
        assert (await client.put(f"/v1/events/{before}", declaration(before))).status == 200
        await asyncio.to_thread(server.start)

        async def accepted() -> bool:
            return (await client.put(f"/v1/events/{during}", declaration(during))).status in (200, 201)

        await until(accepted)
        assert len(broadcast(server.bootstrap, during)) == 1


async def test_start_before_kafka(server: KafkaServer, tmp_path: Path) -> None:
    await asyncio.to_thread(server.stop)
    async with Registry(settings_for(server.bootstrap, tmp_path)) as registry, Client(registry.url) as client:
        assert (await client.get("/v1/events")).body["events"] == []
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/healthz")).status == 200
        await asyncio.to_thread(server.start)
        await registry.ready()
        assert (await client.get("/readyz")).status == 200


async def test_stopped_between_store_and_broadcast(server: KafkaServer, tmp_path: Path) -> None:
    event, settings = new_type(), settings_for(server.bootstrap, tmp_path)
    async with running(settings):
        pass
    database = Database(settings.database)
    provisioner = Provisioner(settings)
    stands = await asyncio.to_thread(provisioner.event_topics, wanted_topics(read(declaration(event)), None))
    Store(database).commit(draft(read(declaration(event)), None, stands, Byline("me")))
    provisioner.close()
    database.close()
    assert broadcast(server.bootstrap, event) == []
    async with running(settings) as client:
        answer = await client.put(f"/v1/events/{event}", declaration(event))
        assert (answer.status, answer.body["created"]) == (200, False)
        found = broadcast(server.bootstrap, event)
        assert found[-1].revision == answer.body["revision"]
        assert (found[-1].source, found[-1].partitions) == (1, 2)


async def test_a_restart_changes_nothing(server: KafkaServer, tmp_path: Path) -> None:
    event, settings = new_type(), settings_for(server.bootstrap, tmp_path, local_write_key="hm_key")
    async with running(settings) as client:
        await client.put(f"/v1/events/{event}", declaration(event))
    before = len(records(server.bootstrap, CONTROL))
    async with running(settings) as client:
        assert (await client.get(f"/v1/events/{event}")).body["source"] == 1
        await client.put(f"/v1/events/{event}", declaration(event))
    assert len(records(server.bootstrap, CONTROL)) == before


async def test_kafka_comes_back_empty(server: KafkaServer, tmp_path: Path) -> None:
    event, settings = new_type(), settings_for(server.bootstrap, tmp_path)
    async with running(settings) as client:
        first = await client.put(f"/v1/events/{event}", declaration(event))
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.data)
    (server.home / "formatted").unlink()
    await asyncio.to_thread(server.start)
    async with running(settings) as client:
        got = await client.get(f"/v1/events/{event}")
        assert got.body["source"] == 2, "its raw offsets start again, so coordinates must differ"
        assert got.body["schema_id"] == first.body["schema_id"]

        async def published() -> bool:
            return [e.source for e in broadcast(server.bootstrap, event)] == [2]

        await until(published)
        topics = partition_counts(AdminClient({"bootstrap.servers": server.bootstrap}), [raw_topic(event), clean_topic(event)])
        assert len(topics) == 2
        keys = [(m.key() or b"").decode() for m in records(server.bootstrap, CONTROL)]
        assert keys == [f"schema/{first.body['schema_id']}", f"type/{event}"]


async def test_a_lost_store_never_gives_out_numbers_again(server: KafkaServer, tmp_path: Path) -> None:
    event = new_type()
    async with running(settings_for(server.bootstrap, tmp_path / "old")) as client:
        old = await client.put(f"/v1/events/{event}", declaration(event))
    async with running(settings_for(server.bootstrap, tmp_path / "new")) as client:
        new = await client.put(f"/v1/events/{event}", declaration(event))
    assert new.status == 201
    assert new.body["schema_id"] > old.body["schema_id"]
    assert new.body["revision"] > old.body["revision"]


async def test_a_registry_begun_anew_beside_an_old_lake_gives_no_old_numbers(server: KafkaServer, tmp_path: Path) -> None:
    settings = settings_for(server.bootstrap, tmp_path, numbers_after=50_000)
    async with running(settings) as client:
        first = await client.put(f"/v1/events/{(event := new_type())}", declaration(event))
    async with running(settings) as client:  # started again: it goes on
        second = await client.put(f"/v1/events/{(event := new_type())}", declaration(event))
    assert first.body["schema_id"] == 50_001
    assert first.body["revision"] > 50_000
    assert second.body["schema_id"] == 50_002


async def test_a_lost_store_keeps_the_sources_that_nodes_know(server: KafkaServer, tmp_path: Path) -> None:
    """Its topics stand: their offsets go on, and so must their coordinates; one whose raw topic is gone too begins anew."""
    kept, lost = new_type(), new_type()
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    async with running(settings_for(server.bootstrap, tmp_path / "old")) as client:
        for event in (kept, lost):
            await client.put(f"/v1/events/{event}", declaration(event))
            admin.delete_topics([raw_topic(event)])[raw_topic(event)].result()
            await client.put(f"/v1/events/{event}", declaration(event, description="again"))
            assert (await client.get(f"/v1/events/{event}")).body["source"] == 2
    admin.delete_topics([raw_topic(lost)])[raw_topic(lost)].result()
    async with running(settings_for(server.bootstrap, tmp_path / "new")) as client:
        for event, source in ((kept, 2), (lost, 3)):
            assert (await client.put(f"/v1/events/{event}", declaration(event))).status == 201
            assert (await client.get(f"/v1/events/{event}")).body["source"] == source


async def test_listing_many_types(server: KafkaServer, tmp_path: Path) -> None:
    settings = settings_for("127.0.0.1:1", tmp_path)
    await asyncio.to_thread(fill, settings.database, 1000)
    async with running(settings, ready=False) as client:
        started = time.monotonic()
        found = await client.get("/v1/events?limit=1000")
        took = time.monotonic() - started
        assert len(found.body["events"]) == 1000
        names, after = [], ""
        while after is not None:
            page = (await client.get(f"/v1/events?limit=300&after={after}")).body
            names += [e["event"] for e in page["events"]]
            after = page["next"]
        assert names == sorted(e["event"] for e in found.body["events"])
    print(f"1,000 event types listed in {took * 1000:.0f} ms")
