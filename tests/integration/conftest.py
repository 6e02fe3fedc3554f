"""What many tests of real workers begin with. A file whose tests kill or reconfigure a server makes its own `stage` instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.front_door import Services, front_door
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
