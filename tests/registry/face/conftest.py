"""One face for a module, on SQLite, without Kafka; every scene is played in the default context and in one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import pytest

from tests.registry.face.steps import Face
from tests.registry.face.threaded import served


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a face."""
    with served(tmp_path_factory.mktemp("face")) as url:
        yield url


@pytest.fixture
def face(url: str) -> Iterator[Face]:
    """A client. What a scene set for all is taken back."""
    face = Face(url)
    yield face
    face.reset()
    face.close()


@pytest.fixture(params=["default", "own"])
def at(request: pytest.FixtureRequest) -> str:
    """Where a scene is played: at the root, or under the path of a context."""
    return "" if request.param == "default" else f"/contexts/.r{token_hex(6)}"
