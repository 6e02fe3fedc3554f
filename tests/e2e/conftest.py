"""One native stack for the whole folder: real Kafka, Valkey, all services, an hour of a few seconds. Event types are each test's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.settings import StackSettings
from local.stack import Stack
from tests.e2e.platform import Platform

HOUR_SECONDS = 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the real servers."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The running stack. Who stops or kills a process leaves it running again."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-e2e-"))
    stack = Stack(StackSettings(home=home, hour_seconds=HOUR_SECONDS, receivers=2, dedup_workers=2, sink_workers=2))
    try:
        stack.up(bound=True)
        yield Platform(stack)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
