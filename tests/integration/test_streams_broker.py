"""The broker dies and comes back under load: nothing lost, nothing doubled, whatever the worker had to do about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import KafkaServer
from tests.streams.load import Load
from tests.streams.stage import Stage

pytestmark = pytest.mark.real


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stage(own_kafka: KafkaServer, valkey: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(own_kafka.bootstrap, valkey, tmp_path)
    yield made
    made.close()


def test_the_broker_is_killed_and_started_again(stage: Stage, own_kafka: KafkaServer) -> None:
    thing = stage.declare(partitions=2)
    worker = stage.worker()
    load = Load(stage, thing, per_second=1_500)
    stage.wait_clean(thing, 2_000)
    own_kafka.kill()
    time.sleep(3)
    own_kafka.start()
    time.sleep(3)
    load.stop()
    if not worker.running():  # it may give up; whoever supervises it starts it again
        worker = stage.worker()
    load.check()
    assert worker.running()
