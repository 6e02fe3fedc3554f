"""An id index put back from a backup: its canary is there, and the claims made since are not. Copies must not pass for new."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hourmark.runtime import EXIT_BROKEN
from hourmark.schemas import EventType
from local.redis import RedisServer
from tests.streams.stage import Stage, new_ids

pytestmark = pytest.mark.real


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


def test_an_index_older_than_the_offsets_is_refused(kafka: str, own_valkey: RedisServer, tmp_path: Path) -> None:
    stage = Stage(kafka, own_valkey.url, tmp_path)
    try:
        thing = stage.declare(partitions=2)
        first = _forwarded(stage, thing, 0)
        own_valkey.stop()
        shutil.copytree(tmp_path / "valkey", tmp_path / "backup")
        own_valkey.start()
        _forwarded(stage, thing, len(first))
        own_valkey.stop()
        shutil.rmtree(tmp_path / "valkey")
        shutil.copytree(tmp_path / "backup", tmp_path / "valkey")
        own_valkey.start()
        worker = stage.worker()
        stage.until(lambda: not worker.running(), 60, "the worker to refuse")
        assert worker.wait(1) == EXIT_BROKEN
        assert "put back from an older moment" in worker.said()
        assert "dedup rebuild --again" in worker.said()
    finally:
        stage.close()


def _forwarded(stage: Stage, thing: EventType, before: int) -> list[bytes]:
    """A hundred events through a worker that ends in order, so that all of it is committed."""
    worker, ids = stage.worker(), new_ids(100)
    stage.send(thing, ids)
    stage.flush()
    stage.wait_clean(thing, before + 100)
    assert worker.terminate() == 0
    return ids
