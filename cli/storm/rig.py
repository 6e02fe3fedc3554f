"""The stack under attack, with the handles that faults need: its processes, its test folder, and what is to be undone."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from cli.addresses import Addresses
from hourmark.crashpoints import FAULTS
from hourmark.errors import PlatformError
from local.errors import StackUnavailable
from local.settings import StackSettings
from local.stack import Stack

from .field import Field

RECEIVERS, WORKERS = 2, 2
READY_S = 240.0
REBUILDS = 4
# What otherwise happens once an hour meets the faults too. A part must still outlast any freeze before it counts as left over.
OFTEN = {"HOURMARK_SINKS_SWEEP_EVERY_S": "2", "HOURMARK_SINKS_SWEEP_AGE_S": "60", "HOURMARK_SINKS_CHECKPOINT_ENTRIES": "2"}


class Rig(Field):
    """One stack in `home`. `later` plans the end of a fault; `settle` ends all of them."""

    def __init__(self, home: Path, hour_seconds: int, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.home, self.faults = home, home / "faults"
        for folder in ("crash", "slow", "clock"):
            (self.faults / folder).mkdir(parents=True, exist_ok=True)
        settings = StackSettings(
            home=home, hour_seconds=hour_seconds, receivers=RECEIVERS, dedup_workers=WORKERS, sink_workers=WORKERS, start_seconds=READY_S
        )
        self.environ = {**os.environ, **OFTEN, **(environ or {}), FAULTS: str(self.faults)}
        self.stack = Stack(settings, environ=self.environ)
        self.extras: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    # -- the stack

    def up(self) -> None:
        """Start it, or start it again after `kill_everything`; ready when this returns."""
        self.stack.up(bound=True)
        status = self.stack.status()
        self.reach(
            Addresses(
                receiver=status.receiver,
                registry=status.registry,
                kafka=status.kafka,
                write_key=status.write_key,
                hour_seconds=status.hour_seconds,
                hour_anchor=status.hour_anchor,
            )
        )
        self.redis, self.lake = status.redis, Path(status.lake)

    def down(self) -> None:
        for child in self.extras.values():
            child.kill()
            child.wait()
        self.stack.down()

    def ready(self, seconds: float = READY_S) -> str:
        """Empty when every process runs and answers within `seconds`, else what does not."""
        deadline = time.monotonic() + seconds
        while True:
            self._start_all()
            status = self.stack.status()
            if status.ready and all(p.ready is not False for p in status.processes):
                return ""
            if time.monotonic() > deadline:
                return ", ".join(f"{p.name} {p.state}" for p in status.processes if p.state != "running" or p.ready is False) or "servers"
            time.sleep(0.3)

    def _start_all(self) -> None:
        """One that was told to start while it was still stopping has not."""
        for process in self._processes():
            if process.state in ("stopped", "exited", "fatal"):
                with contextlib.suppress(PlatformError):
                    self.stack.start(process.name)

    # -- processes

    def names(self, *stages: str) -> list[str]:
        """Processes of these stages (all services by default) that have a pid now; extra workers count."""
        wanted = stages or ("receiver", "dedup", "sinks", "registry")
        found = [p.name for p in self._processes() if p.pid]
        found += [name for name, child in self.extras.items() if child.poll() is None]
        return sorted(name for name in found if name.rpartition("-")[0] in wanted or name in wanted)

    def pid(self, name: str) -> int:
        """0 when it has none now."""
        if name in self.extras:
            child = self.extras[name]
            return child.pid if child.poll() is None else 0
        return next((p.pid for p in self._processes() if p.name == name), 0)

    def signal(self, name: str, number: signal.Signals) -> int:
        """Its pid, 0 when it was not there."""
        pid = self.pid(name)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    def stop(self, name: str) -> None:
        """Stops a supervised process in order, without waiting; `stack.start` starts it again."""
        with contextlib.suppress(PlatformError):
            self.stack.ask_to_stop(name)

    def limit_files(self, name: str, most: int | None) -> None:
        """The largest file that this process may write, as the kernel sees it; None: any."""
        pid = self.pid(name)
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
            process.rlimit(psutil.RLIMIT_FSIZE, (hard if most is None else most, hard))

    def join(self, module: str, stage: str) -> str:
        """One more worker process; its name."""
        name = f"{stage}-x{next(self._numbers)}"
        self.extras[name] = self.stack.extra(module, name)
        return name

    def leave(self, name: str) -> None:
        """An extra worker stops in order, or is ended."""
        child = self.extras[name]
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(20)
        child.kill()
        child.wait()

    def _processes(self) -> list[Any]:
        try:
            return self.stack.processes()
        except PlatformError:
            return []

    # -- the index

    def empty_index(self) -> None:
        """FLUSHALL, as by mistake. Waits for a server that is just away."""
        parts = urlsplit(self.redis)
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 0), 2.0) as connection:
                connection.sendall(b"FLUSHALL\r\n")
                if connection.recv(64).startswith(b"+OK"):
                    return
            time.sleep(0.2)
            self.undo_due()

    def rebuild_index(self) -> str:
        """`hourmark dedup rebuild`, as an operator runs it when no dedup worker is left; its last words."""
        said = ""
        for _ in range(REBUILDS):
            self._await_no_dedup()
            ran = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli", "dedup", "rebuild"],
                env={**self.environ, "HOURMARK_HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while ran.poll() is None:
                self.undo_due()  # what it waits for may be frozen until then
                time.sleep(0.2)
            said = ran.communicate()[0].strip()
            if ran.returncode == 0:
                return said.splitlines()[-1][:120]
        raise StackUnavailable(f"hourmark dedup rebuild failed {REBUILDS} times: {said[-2000:]}")

    def _await_no_dedup(self) -> None:
        """Other faults may have started some again meanwhile."""
        deadline = time.monotonic() + 60.0
        while (names := self.names("dedup")) and time.monotonic() < deadline:
            for name in names:
                self.stop(name)
            self.undo_due()
            time.sleep(0.5)

    # -- ends of faults

    def later(self, seconds: float, undo: Callable[[], object]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), undo))

    def undo_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            self._undo(heapq.heappop(self._due)[2])

    def settle(self) -> None:
        """End every fault and every extra worker."""
        while self._due:
            self._undo(heapq.heappop(self._due)[2])
        for folder in ("crash", "slow", "clock"):
            for file in (self.faults / folder).iterdir():
                file.unlink(missing_ok=True)
        for name in list(self.extras):
            self.leave(name)
        self.extras.clear()

    def _undo(self, undo: Callable[[], object]) -> None:
        # a supervisor that is just being killed does not take orders; `up` starts what it was to start
        with contextlib.suppress(PlatformError):
            undo()

    def put(self, folder: str, name: str, text: str = "") -> Path:
        """A file in the test folder that services look at."""
        file = self.faults / folder / name
        file.write_text(text)
        return file
