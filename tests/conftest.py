"""Real servers for tests that need them, started by the native stack's own code, once per session, gone at its end.

HOURMARK_TEST_KAFKA and HOURMARK_TEST_REDIS_URL reuse running ones for `kafka` and `valkey`. `kafka_server` and `valkey_server` are always
our own, because tests kill them: such a test connects to `kafka_server.bootstrap` and `valkey_server.url`.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest

from local.kafka import KafkaServer
from local.redis import RedisServer

if TYPE_CHECKING:
    from tests.node.toolchain import Node
    from tests.stores.postgres import PostgresServer
    from tests.stores.s3 import S3Server

PREFIX = "hourmark-test-"

# Two cores, many processes: how long one example took says nothing.
hypothesis.settings.register_profile("hourmark", deadline=None)
hypothesis.settings.load_profile("hourmark")


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM ends a run as Ctrl-C does: fixtures are torn down, servers stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A folder for servers, named by our pid, so that a session which was killed is swept up by the next one."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(PREFIX + "*"):
        pid = left.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_server(server_home: Path) -> Iterator[KafkaServer]:
    """A broker of this session. Who kills or stops it starts it again."""
    server = KafkaServer(server_home / "kafka", heap_mb=512)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey_server(server_home: Path) -> Iterator[RedisServer]:
    """A Valkey of this session. Who kills or stops it starts it again."""
    server = RedisServer(server_home / "valkey")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """Bootstrap address of a broker shared by all tests: use event types of your own."""
    return os.environ.get("HOURMARK_TEST_KAFKA") or str(request.getfixturevalue("kafka_server").bootstrap)


@pytest.fixture(scope="session")
def valkey(request: pytest.FixtureRequest) -> str:
    """URL of a Valkey shared by all tests: use keys of your own."""
    return os.environ.get("HOURMARK_TEST_REDIS_URL") or str(request.getfixturevalue("valkey_server").url)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server of this session, in memory: use a bucket of your own. Imported here, because it is slow to import."""
    from tests.stores.s3 import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this session: `with postgres.database() as url` is a new one of your own."""
    from tests.stores.postgres import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js with the npm packages of tests/node."""
    from tests.node.toolchain import node as installed

    return installed()
