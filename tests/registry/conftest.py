"""The stores that a registry can have: tests that take `database_url` run once on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.hostile import Hostile
from tests.registry.hostile import serving as serving_the_hostile


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty store of this test's own; `Database(url).migrate()` makes the tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'registry.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """A registry without Kafka, and a client that sends whatever it is told."""
    with serving_the_hostile(tmp_path_factory.mktemp("registry")) as client:
        yield client
