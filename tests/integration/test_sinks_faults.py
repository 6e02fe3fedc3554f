"""Sink workers on real Kafka that are killed, frozen, doubled, and left without a lake: exact by id, every time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hourmark.errors import LakeUnavailable
from sinks.disk import DiskStore
from sinks.fsck import fsck
from sinks.store import Fill, Stored
from sinks.worker import Seams
from tests.integration.test_sinks_hours import fill, ids
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, wire_schema
from tests.sinks.stage import Stage, eventually, store_of

pytestmark = pytest.mark.real
HOURS = 4
PER_HOUR = 6000


def load(stage: Stage, feeds: list[Feed], schema: Any, pace: float) -> None:
    """Hours of events on all partitions, in small steps; a tenth of them again, as after a dedup crash."""
    numbers = iter(range(10**9))
    for hour in range(HOUR, HOUR + HOURS):
        for _ in range(10):
            for feed in feeds:
                at = len(feed.out)
                start = next(numbers) * 1000
                fill(feed, schema, hour, range(start, start + PER_HOUR // 10 // len(feeds)))
                stage.send(feed.partition, feed.out[max(0, at - 20) :] if at > 20 else feed.out)
            time.sleep(pace)
        for feed in feeds:
            stage.send(feed.partition, [feed.barrier(hour)])


def expected(feeds: list[Feed], hour: int) -> set[str]:
    import uuid

    from hourmark.event import unpack_stamp

    return {
        str(uuid.UUID(bytes=record.value[5:21]))
        for feed in feeds
        for record in feed.out
        if record.value is not None and unpack_stamp(record.headers[0][1]).hour == hour
    }


def check(stage: Stage, feeds: list[Feed]) -> None:
    for hour in range(HOUR, HOUR + HOURS):
        found = stage.ids(hour)
        assert set(found) == expected(feeds, hour)
        assert set(found.values()) == {1}
        assert stage.manifest(hour).complete, stage.manifest(hour).audit.faults
    assert fsck(store_of(stage)) == []


def stop(child: subprocess.Popen[bytes]) -> int:
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.terminate()
    return child.wait(20)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_times_under_load(kafka: str, tmp_path: Path, seed: int) -> None:
    stage, rng = Stage(kafka, tmp_path, partitions=2), random.Random(seed)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    entries, feeds = (schema, declared(stage.type, schema, 2)), [Feed(0), Feed(1)]
    loading = threading.Thread(target=load, args=(stage, feeds, schema, 0.1), daemon=True)
    children = [stage.process(*entries), stage.process(*entries)]
    loading.start()
    try:
        for _ in range(5):
            time.sleep(rng.uniform(0.5, 2.5))
            which = rng.randrange(2)
            os.kill(children[which].pid, signal.SIGKILL)
            children[which].wait()
            children[which] = stage.process(*entries)
        loading.join()
        stage.wait_sealed(*range(HOUR, HOUR + HOURS))
    finally:
        loading.join()
        codes = [stop(child) for child in children]
    assert set(codes) <= {0, -signal.SIGTERM}  # the latter when it was still starting
    check(stage, feeds)


def test_a_frozen_worker_that_wakes_up_changes_nothing(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    entries, feeds = (schema, declared(stage.type, schema, 2)), [Feed(0), Feed(1)]
    loading = threading.Thread(target=load, args=(stage, feeds, schema, 0.15), daemon=True)
    children = [stage.process(*entries)]
    loading.start()
    try:
        eventually(lambda: (stage.lake / "meta/commits").exists(), "the first commit entry")
        time.sleep(1)
        children[0].send_signal(signal.SIGSTOP)
        children.append(stage.process(*entries))
        time.sleep(4)  # past the session timeout: the other one owns all partitions now
        children[0].send_signal(signal.SIGCONT)
        loading.join()
        stage.wait_sealed(*range(HOUR, HOUR + HOURS))
    finally:
        loading.join()
        for child in children:
            stop(child)
    check(stage, feeds)


def test_two_workers_that_both_own_everything(kafka: str, tmp_path: Path) -> None:
    """Two groups read the same topics into one lake, as zombies would for ever: each link and each hour has one winner.

    Both sweep and compact all the time, without the margin of age that production has.
    """
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    entries, feeds = (schema, declared(stage.type, schema, 2)), [Feed(0), Feed(1)]
    how = {"buffer_bytes": 1 << 20, "part_bytes": 1 << 20, "sweep_every_s": 0.01, "sweep_age_s": 0.0, "checkpoint_entries": 2}
    with stage.worker(*entries, **how):
        stage.group += "-twin"
        with stage.worker(*entries, **how):
            load(stage, feeds, schema, 0.1)
            stage.wait_sealed(*range(HOUR, HOUR + HOURS))
            # Workers that were slow to start write all that in one entry, nothing to make a checkpoint of: each hour here adds one.
            for hour in range(HOUR + HOURS, HOUR + HOURS + 4):
                for feed in feeds:
                    start = 10**7 * (hour - HOUR) + 10**9 * feed.partition
                    fill(feed, schema, hour, range(start, start + 10))
                    stage.send(feed.partition, feed.out[-10:])
                    stage.send(feed.partition, [feed.barrier(hour)])
                stage.wait_sealed(hour)
            checkpoints = stage.lake / "meta/checkpoints"
            eventually(lambda: len({path.parent for path in checkpoints.rglob("*.json")}) == 2, "checkpoints of both partitions")
    check(stage, feeds)


def test_a_replay_into_an_empty_lake_gives_the_same_hours(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    entries, feeds = (schema, declared(stage.type, schema, 2)), [Feed(0), Feed(1)]
    found = []
    for extra in ({}, {"buffer_bytes": 1 << 20, "part_bytes": 1 << 20}):
        with stage.worker(*entries, **extra):
            if not found:
                load(stage, feeds, schema, 0.0)
            stage.wait_sealed(*range(HOUR, HOUR + HOURS))
        found.append([{n: d for n, d in stage.files(hour).items() if n.endswith(".parquet")} for hour in range(HOUR, HOUR + HOURS)])
        shutil.rmtree(stage.lake)
    assert found[0] == found[1]


class FullDisk(DiskStore):
    """Refuses every second write while `full`."""

    full = False
    tries = 0

    def create(self, path: str, data: bytes) -> bool:
        self._refuse(path)
        return super().create(path, data)

    def write(self, path: str, fill: Fill) -> Stored:
        self._refuse(path)
        return super().write(path, fill)

    def _refuse(self, path: str) -> None:
        self.tries += 1
        if self.full and self.tries % 2:
            raise LakeUnavailable(f"{path}: No space left on device", retry_after=0.1)


def test_a_lake_that_is_full_for_a_while(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    feeds, store = [Feed(0), Feed(1)], FullDisk(stage.lake)
    store.full = True
    with stage.worker(schema, declared(stage.type, schema, 2), seams=Seams(store=store)) as worker:
        load(stage, feeds, schema, 0.0)
        eventually(lambda: worker.ready(), "the worker to say that it holds")
        time.sleep(1)
        store.full = False
        stage.wait_sealed(*range(HOUR, HOUR + HOURS))
        eventually(lambda: worker.ready() is None, "the worker to be ready again")
    check(stage, feeds)
    assert ids(range(0)) == set()
