"""The registry dies at each named step of a declaration: afterwards either nothing of it is there or all of it, and the retry works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from hourmark.control import ControlTail
from hourmark.crashpoints import POINTS
from hourmark.kafka import partition_counts
from hourmark.schemas import EventType
from hourmark.settings import PlatformSettings
from hourmark.topics import clean_topic, raw_topic
from tests.registry.documents import declaration, payload
from tests.registry.process import RegistryProcess
from tests.registry.service import new_type

pytestmark = pytest.mark.real
STEPS = [point for point in POINTS if point.startswith("registry.")]
STORED = STEPS[STEPS.index("registry.committed") :]
SHARED = ("registry.before_commit", "registry.committed", "registry.published")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "crash").mkdir()
    return folder


@pytest.fixture(scope="module")
def on_a_file(kafka: str, faults: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    with RegistryProcess(kafka, tmp_path_factory.mktemp("registry"), faults=faults) as registry:
        yield registry


@pytest.fixture(scope="module")
def on_postgresql(
    request: pytest.FixtureRequest, kafka: str, faults: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryProcess]:
    with (
        request.getfixturevalue("postgres").database() as url,
        RegistryProcess(kafka, tmp_path_factory.mktemp("registry"), url, faults) as registry,
    ):
        yield registry


@pytest.fixture(scope="module")
def node(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlTail]:
    """A node that follows the catalogue all the time."""
    tail = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path_factory.mktemp("node")), "test").start()
    yield tail
    tail.close()


@pytest.mark.parametrize("step", STEPS)
def test_nothing_or_all_of_it(step: str, on_a_file: RegistryProcess, faults: Path, node: ControlTail, kafka: str) -> None:
    dies_at(step, on_a_file, faults, node, kafka)


@pytest.mark.parametrize("step", SHARED)
def test_nothing_or_all_of_it_on_postgresql(step: str, on_postgresql: RegistryProcess, faults: Path, node: ControlTail, kafka: str) -> None:
    dies_at(step, on_postgresql, faults, node, kafka)


def test_a_raw_topic_made_anew_is_a_new_source_even_then(on_a_file: RegistryProcess, faults: Path, node: ControlTail, kafka: str) -> None:
    """Its offsets begin again, so that coordinates must differ; the registry dies between making it and storing that."""
    event, admin = new_type(), AdminClient({"bootstrap.servers": kafka})
    assert on_a_file.ask("PUT", f"/v1/events/{event}", declaration(event)).status == 201
    admin.delete_topics([raw_topic(event)])[raw_topic(event)].result()
    (faults / "crash" / "registry.before_commit").touch()
    assert on_a_file.ask("PUT", f"/v1/events/{event}", declaration(event, description="other")).status == 0
    on_a_file.died()
    on_a_file.start()
    assert node.wait_for(lambda snapshot: event in snapshot.types and snapshot.types[event].source == 2, 60)
    again = on_a_file.ask("PUT", f"/v1/events/{event}", declaration(event, description="other"))
    assert again.status == 200
    assert on_a_file.ask("GET", f"/v1/events/{event}").body["source"] == 2, "once, not again"


def dies_at(step: str, registry: RegistryProcess, faults: Path, node: ControlTail, kafka: str) -> None:
    event = new_type()
    wanted = declaration(event, schema=payload(("track", "string"), ("ms_played", "long")))
    (faults / "crash" / step).touch()
    assert registry.ask("PUT", f"/v1/events/{event}", wanted).status == 0
    registry.died()
    registry.start()

    found = registry.ask("GET", f"/v1/events/{event}")
    if step in STORED:
        whole(found.body, event)
        assert node.wait_for(lambda snapshot: event in snapshot.types, 60), "what is stored is broadcast without being asked again"
    else:
        assert found.status == 404
        assert event not in node.snapshot.types

    again = registry.ask("PUT", f"/v1/events/{event}", wanted)
    assert again.status == (200 if step in STORED else 201), again.body
    assert node.wait_for(lambda snapshot: event in snapshot.types, 60)
    stored = registry.ask("GET", f"/v1/events/{event}").body
    whole(stored, event)
    history = registry.ask("GET", f"/v1/events/{event}/revisions").body["revisions"]
    assert [each["revision"] for each in history] == [stored["revision"]], "declared twice, and one revision"
    same(node.snapshot.types[event], stored)
    assert node.snapshot.schemas[stored["schema_id"]].avro == stored["wire_schema"]
    topics = partition_counts(AdminClient({"bootstrap.servers": kafka}), [clean_topic(event), raw_topic(event)])
    assert set(topics.values()) == {stored["partitions"]}
    assert len(topics) == 2


def whole(body: Any, event: str) -> None:
    assert body["declaration"]["event"] == event
    assert {field["name"] for field in body["wire_schema"]["fields"]} >= {"_event_id", "track", "ms_played"}


def same(entry: EventType, stored: dict[str, Any]) -> None:
    for name in ("revision", "schema_id", "partitions", "source"):
        assert getattr(entry, name) == stored[name]
