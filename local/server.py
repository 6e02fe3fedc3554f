"""A real server as a child process: prepare, start until it answers, stop, kill, restart on the same port and data.

The child never outlives its parent (launch.py). A server is used by one thread; `command()` serves a supervisor that starts it by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.errors import ServerUnavailable
from local.ports import HOST, free_port, require_free

LAUNCH = Path(__file__).with_name("launch.py")


def bound_to_parent(argv: list[str]) -> list[str]:
    """The same command, ended by the kernel when its parent ends (Linux; elsewhere it just runs)."""
    return [sys.executable, "-S", "-E", str(LAUNCH), *argv]


# To the kernel the parent is a thread: a server started by a short-lived one would end with it. This one lives as long as the process.
_SPAWNER = ThreadPoolExecutor(1, "local-servers")


def spawn(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` for children that are bound to this process."""

    def popen() -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, **options)

    return _SPAWNER.submit(popen).result()


class Server(ABC):
    """Life cycle of one server. Order: `prepare()` (any number of times), then `start()` or, by a supervisor, `command()`."""

    name: str
    start_deadline = 60.0
    stop_grace = 15.0

    def __init__(self, home: Path, port: int = 0) -> None:
        """`home` holds configuration, data and log. Port 0: the one remembered in `home`, at first a free one."""
        self.home = home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = port or self._remembered("port")
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Writes configuration and whatever must exist before the first start. Idempotent."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments; valid after `prepare()`."""

    @abstractmethod
    def ready(self, timeout: float = 2.0) -> bool:
        """True when it answers a real request now. Never raises."""

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """Output of a server started by `start()`."""
        return self.home / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Of the running child, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts the child and returns when it answers. Raises PortTaken or ServerUnavailable (with the end of its log)."""
        if self.pid is not None:
            return
        require_free(self.port, self.name)
        self.prepare()
        with self.log.open("ab") as log:
            self._process = spawn(bound_to_parent(self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + self.start_deadline
        while not self.ready():
            if self.pid is None:
                raise ServerUnavailable(f"{self.name} ended while starting:\n{self.log_end()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerUnavailable(f"{self.name} did not answer on {self.address} in {self.start_deadline:.0f} s:\n{self.log_end()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Asks it to end, kills it after `stop_grace` seconds. Returns when it is gone."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(self.stop_grace)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a power cut would. Returns when it is gone; data stays."""
        if self._process is None:
            return
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stops it where it runs, and starts it on the same port and data."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal (SIGSTOP and SIGCONT make a frozen server). Nothing happens when it does not run."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def log_end(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def _remembered(self, what: str) -> int:
        """A port chosen once and kept in `home`, so that a restart has the same address."""
        file = self.home / f"{what}.remembered"
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text())
        chosen = free_port()
        file.write_text(f"{chosen}\n")
        return chosen
