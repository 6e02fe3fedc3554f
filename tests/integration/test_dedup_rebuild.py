"""`hourmark dedup rebuild` on real servers, for every kind of index: copies of what was forwarded before the loss stay copies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.failures import FINE, UNREACHABLE
from hourmark.runtime import EXIT_BROKEN
from tests.streams.stage import Stage, assert_exact, new_ids

pytestmark = pytest.mark.real


@pytest.fixture
def stage(kafka: str, valkey: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka, valkey, tmp_path)
    (tmp_path / "lake").mkdir()
    yield made
    made.close()


def rebuild(stage: Stage, backend: str, *options: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **stage.env(HOURMARK_DEDUP_BACKEND=backend), "HOURMARK_LAKE_URL": (stage.home / "lake").as_uri()}
    return subprocess.run([sys.executable, "-m", "cli", "dedup", "rebuild", *options], env=env, capture_output=True, text=True, timeout=90)


@pytest.mark.parametrize("backend", ["plain", "compact"])
def test_copies_stay_copies_over_a_loss(stage: Stage, backend: str) -> None:
    thing = stage.declare(partitions=2)
    worker = stage.worker(HOURMARK_DEDUP_BACKEND=backend)
    ids, more = new_ids(5_000), new_ids(100)
    stage.send(thing, ids)
    stage.flush()
    stage.wait_clean(thing, 5_000)
    if backend == "plain":
        assert rebuild(stage, backend, "--again").returncode == FINE
    worker.kill()  # in the group it lives on for the rest of its session, for which the rebuild waits
    stage.redis.flushdb()
    done = rebuild(stage, backend)
    assert done.returncode == FINE, done.stderr
    assert "5,000 ids in the index" in done.stdout
    again = stage.worker(HOURMARK_DEDUP_BACKEND=backend)
    stage.send(thing, [*ids, *more], partition=0)
    stage.flush()
    stage.wait_clean(thing, 5_100)
    assert_exact(stage.wait_closed(thing), [*ids, *more])
    assert again.terminate() == 0


def test_a_worker_that_runs_is_not_rebuilt_behind(stage: Stage) -> None:
    """It may have claims of the lost index in its hands."""
    thing = stage.declare()
    worker = stage.worker(HOURMARK_STREAMS_SESSION_TIMEOUT="60")
    stage.send(thing, new_ids(10))
    stage.flush()
    stage.wait_clean(thing, 10)
    worker.signal(signal.SIGSTOP)  # else it would notice at once, and end
    stage.redis.flushdb()
    refused = rebuild(stage, "plain")
    worker.signal(signal.SIGCONT)
    assert refused.returncode == UNREACHABLE
    assert "still run" in refused.stderr
    assert worker.wait(60) == EXIT_BROKEN
