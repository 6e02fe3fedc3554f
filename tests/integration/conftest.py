"""What many tests of real workers begin with. A file whose tests kill or reconfigure a server makes its own `stage` instead."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from tests.integration.front_door import Services, front_door
from tests.registry.face.threaded import served
from tests.streams.stage import Stage


@pytest.fixture
def stage(kafka: str, valkey: str, tmp_path: Path) -> Iterator[Stage]:
    """Dedup workers of one test on the shared servers."""
    made = Stage(kafka, valkey, tmp_path)
    yield made
    made.close()


@pytest.fixture
async def services(kafka: str, tmp_path: Path) -> AsyncIterator[Services]:
    """A registry and a receiver of this test."""
    async with front_door(kafka, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Confluent-compatible face of a registry without Kafka."""
    with served(tmp_path_factory.mktemp("face")) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    """Confluent's own client of it."""
    with SchemaRegistryClient({"url": url}) as found:
        yield found


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test has."""
    return f"t{uuid.uuid4().hex}"
