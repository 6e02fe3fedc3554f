"""A process dies at each named step while events flow, and starts again by itself: no event is lost or doubled, every hour balances."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from hourmark.crashpoints import FAULTS, POINTS
from local.settings import StackSettings
from local.stack import Stack
from sinks.fsck import fsck
from sinks.lake import open_store
from tests.e2e.platform import Load, Platform, until

pytestmark = pytest.mark.real
HOUR_SECONDS = 4
OFTEN = {"HOURMARK_SINKS_SWEEP_EVERY_S": "2.5", "HOURMARK_SINKS_CHECKPOINT_ENTRIES": "2"}


@pytest.fixture
def home() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="hourmark-points-"))
    (made / "faults" / "crash").mkdir(parents=True)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def platform(home: Path) -> Iterator[Platform]:
    """A stack whose processes look for steps to die at."""
    settings = StackSettings(home=home, hour_seconds=HOUR_SECONDS, receivers=2, dedup_workers=2, sink_workers=2)
    stack = Stack(settings, environ={**os.environ, FAULTS: str(home / "faults"), **OFTEN})
    try:
        stack.up(bound=True)
        yield Platform(stack)
    finally:
        stack.down()


@pytest.mark.timeout(600)
def test_a_process_dies_at_every_step(platform: Platform, home: Path) -> None:
    event_type = platform.declare("stepped", tier="standard")
    with Load(platform, event_type, per_second=800) as load:
        load.flows()
        for points in at_once():
            die_at(points, platform, home / "faults" / "crash")
    platform.restored()
    account = platform.assert_exact(load.ledger)
    assert account.hours > 1
    assert fsck(open_store(platform.lake.as_uri()), event_type) == []


def die_at(points: list[str], platform: Platform, folder: Path) -> None:
    """Returns when a process has died at each of these steps, and another has been started in its place."""
    before = set(pids(platform))
    for point in points:
        (folder / point).touch()
    until(f"processes to die at {', '.join(points)}", lambda: not any((folder / point).exists() for point in points))
    until("others in their place", lambda: len(set(pids(platform)) - before - {0}) >= len(points))


def at_once() -> list[list[str]]:
    """Every step, those of different kinds of process together."""
    rooms = [[point for point in POINTS if point.startswith(names)] for names in ("receiver.", "dedup.", ("sink.", "lake."))]
    return [[point for point in row if point] for row in zip_longest(*rooms, fillvalue="")]


def pids(platform: Platform) -> list[int]:
    return [process.pid for process in platform.stack.processes()]
