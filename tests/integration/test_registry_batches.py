"""Many declarations side by side on real Kafka: their topics come in batches, and each keeps its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from hourmark.kafka import TopicSpec, ensure_topics, partition_counts
from hourmark.topics import clean_topic, raw_topic
from registry.provision import Provisioned, Provisioner, Wanted
from registry.refusal import Refused
from tests.integration.test_registry_declare import barriers
from tests.registry.documents import declaration
from tests.registry.service import Client, new_type, running, settings_for

pytestmark = pytest.mark.real


@pytest.fixture
async def registry(kafka: str, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(settings_for(kafka, tmp_path)) as client:
        yield client


async def test_declared_side_by_side_each_has_its_topics_and_barriers(registry: Client, kafka: str) -> None:
    stem = new_type().partition(".")[0]
    events = [f"{stem}.kind{number}" for number in range(12)]
    counts = {event: 1 + number % 3 for number, event in enumerate(events)}
    answers = await asyncio.gather(*(registry.put(f"/v1/events/{event}", declaration(event, partitions=counts[event])) for event in events))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["revision"] for answer in answers}) == len(events)
    admin = AdminClient({"bootstrap.servers": kafka})
    for stage in (raw_topic, clean_topic):
        assert partition_counts(admin, [stage(event) for event in events]) == {stage(event): counts[event] for event in events}
    assert all(len(barriers(kafka, raw_topic(event), number)) == 1 for event in events for number in range(counts[event]))
    grown = await asyncio.gather(*(registry.put(f"/v1/events/{event}", declaration(event, partitions=4)) for event in events[:3]))
    assert [answer.body["created"] for answer in grown] == [False] * 3
    assert all(len(barriers(kafka, raw_topic(event), number)) == 1 for event in events[:3] for number in range(4))


async def test_one_that_kafka_refuses_does_not_keep_the_others_back(kafka: str, tmp_path: Path) -> None:
    """Kafka takes dots and underscores in topic names for the same letter."""
    stem = new_type().partition(".")[0]
    admin = AdminClient({"bootstrap.servers": kafka})
    ensure_topics(admin, [TopicSpec(f"clean.{stem}_taken_name", 1, {})])
    provisioner = Provisioner(settings_for(kafka, tmp_path))
    wanted = [Wanted(f"{stem}.{name}", 2, 3_600_000, 3_600_000) for name in ("one", "taken_name", "two")]
    try:
        found = await asyncio.to_thread(provisioner.all_event_topics, wanted)
        made = [found[f"{stem}.{name}"] for name in ("one", "two")]
        assert [outcome._replace(raw_id="") for outcome in made if isinstance(outcome, Provisioned)] == [Provisioned(2, True)] * 2
        refused = found[f"{stem}.taken_name"]
        assert isinstance(refused, Refused)
        assert refused.code == "event_name_taken"
        again = await asyncio.to_thread(provisioner.all_event_topics, wanted[:1])
        assert isinstance(made[0], Provisioned)
        assert again == {f"{stem}.one": made[0]._replace(raw_created=False)}
        assert raw_topic(f"{stem}.taken_name") not in admin.list_topics(timeout=10).topics
    finally:
        provisioner.close()
