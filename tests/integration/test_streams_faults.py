"""Workers that are killed, frozen, joined and left, and an index that goes away: nothing lost, nothing doubled, all sums exact."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hourmark.schemas import EventType
from tests.streams.stage import Stage, assert_balanced, assert_exact, new_ids

pytestmark = pytest.mark.real


@pytest.fixture
def stage(kafka: str, valkey: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka, valkey, tmp_path)
    yield made
    made.close()


class Load:
    """A thread that sends new events and copies of earlier ones, on any partition, until it is stopped."""

    def __init__(self, stage: Stage, found: EventType, per_second: int = 3_000) -> None:
        self.ids: list[bytes] = []
        self.copies = 0
        self._stage, self._found, self._per_second = stage, found, per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        chance = random.Random(7)
        while not self._stop.is_set():
            fresh = new_ids(self._per_second // 20)
            self.copies += self._stage.send(self._found, chance.sample(self.ids, min(len(self.ids), len(fresh) // 10)), partition=0)
            self._stage.send(self._found, fresh)
            self.ids += fresh
            self._stop.wait(0.05)

    def stop(self) -> list[bytes]:
        self._stop.set()
        self._thread.join()
        self._stage.flush()
        return self.ids


def check(stage: Stage, found: EventType, load: Load) -> None:
    """Exact ids, exact sums, whatever happened."""
    parts = stage.wait_clean(found, len(load.ids), timeout=90)
    parts = stage.wait_closed(found, timeout=60)
    assert_exact(parts, load.ids)
    assert_balanced(parts)
    tallies = [tally for part in parts for barrier in part.barriers() for tally in barrier.tallies.values()]
    assert sum(tally.consumed for tally in tallies) == len(load.ids) + load.copies
    assert sum(tally.duplicates for tally in tallies) == load.copies


def test_killed_again_and_again(stage: Stage) -> None:
    thing = stage.declare(partitions=4)
    worker = stage.worker()
    load = Load(stage, thing)
    for seconds in (3.5, 5.0, 6.3, 5.7):
        time.sleep(seconds)
        worker.kill()
        worker = stage.worker()
    time.sleep(2)
    load.stop()
    check(stage, thing, load)


def test_frozen_past_the_session_and_continued(stage: Stage) -> None:
    thing = stage.declare(partitions=4)
    zombie, other = stage.worker(), stage.worker()
    load = Load(stage, thing)
    time.sleep(6)
    zombie.signal(signal.SIGSTOP)
    time.sleep(8)
    zombie.signal(signal.SIGCONT)
    time.sleep(5)
    load.stop()
    check(stage, thing, load)
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
    check(stage, thing, load)
    assert third.terminate() == 0
