"""Workers that are killed, frozen, joined and left, and an index that goes away: nothing lost, nothing doubled, all sums exact."""

from __future__ import annotations

import signal
import time

import pytest

from tests.streams.load import Load
from tests.streams.stage import Stage

pytestmark = pytest.mark.real


def test_killed_again_and_again(stage: Stage) -> None:
    thing = stage.declare(partitions=4)
    worker = stage.worker()
    load = Load(stage, thing)
    for seconds in (2.5, 3.0, 2.2, 2.7):
        time.sleep(seconds)
        worker.kill()
        worker = stage.worker()
    time.sleep(2)
    load.stop()
    load.check()


def test_frozen_past_the_session_and_continued(stage: Stage) -> None:
    thing = stage.declare(partitions=4)
    zombie, other = stage.worker(), stage.worker()
    load = Load(stage, thing)
    time.sleep(6)
    zombie.signal(signal.SIGSTOP)
    time.sleep(6.5)
    zombie.signal(signal.SIGCONT)
    time.sleep(5)
    load.stop()
    load.check()
    assert other.running()


def test_workers_join_and_leave(stage: Stage) -> None:
    thing = stage.declare(partitions=4)
    first = stage.worker()
    load = Load(stage, thing)
    time.sleep(4)
    second = stage.worker()
    time.sleep(5)
    assert first.terminate() == 0
    time.sleep(3)
    third = stage.worker()
    time.sleep(4)
    assert second.terminate() == 0
    time.sleep(2)
    load.stop()
    load.check()
    assert third.terminate() == 0
