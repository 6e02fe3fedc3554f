"""Brings a stack's processes up stage by stage and waits for each; tells early, with the end of its log, which one cannot start."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local import kafka, redis
from local.errors import StackUnavailable
from local.logs import last_lines
from local.remembered import Remembered
from local.status import says_ok
from local.supervision import Supervisor

TRIES = 5


class Starting:
    """One start. Servers first, the registry when they answer, the rest when the registry is healthy."""

    def __init__(
        self, supervisor: Supervisor, memory: Remembered, log: Callable[[str], Path], seconds: float, on_progress: Callable[[str], None]
    ) -> None:
        self._supervisor = supervisor
        self._memory = memory
        self._log = log
        self._began = time.monotonic()
        self._deadline = self._began + seconds
        self._progress = on_progress
        self._pids: defaultdict[str, set[int]] = defaultdict(set)

    def at_once(self) -> None:
        """Everything, without waiting: services wait for their servers by themselves."""
        for process in self._supervisor.processes():
            self._supervisor.start(process.name)

    def in_order(self, before_workers: Callable[[], None]) -> None:
        """Returns when the receiver accepts events and every process runs. Raises StackUnavailable.

        `before_workers` is called when the servers and the registry answer, and no worker was started by this call yet.
        """
        memory = self._memory
        names = [process.name for process in self._supervisor.processes()]
        servers = [name for name in names if name in ("kafka", "valkey")]
        for name in servers:
            self._supervisor.start(name)
        self._until(lambda: redis.answers(memory.redis), "valkey" if memory.own_redis else "redis", urlsplit(memory.redis).netloc)
        self._until(lambda: kafka.answers(memory.kafka), "kafka", memory.kafka)
        self._supervisor.start("registry")
        registry = urlsplit(memory.registry).netloc
        self._until(lambda: says_ok(registry, "/healthz"), "registry", memory.registry)
        before_workers()
        rest = [name for name in names if name not in (*servers, "registry")]
        for name in rest:
            self._supervisor.start(name)
        receiver = urlsplit(memory.receiver).netloc
        self._until(lambda: says_ok(receiver, "/readyz"), "receiver", memory.receiver)
        self._until(self._all_run, "workers", f"{len(rest)} processes")

    def _all_run(self) -> bool:
        return all(process.state == "running" for process in self._supervisor.processes())

    def _until(self, answers: Callable[[], bool], what: str, where: str) -> None:
        while not answers():
            self._refuse_failing()
            if time.monotonic() > self._deadline:
                raise StackUnavailable(f"{what} ({where}) was not ready in time; {self._hint(what)}")
            time.sleep(0.1)
        self._progress(f"{what:<9} {where}  {time.monotonic() - self._began:.1f} s")

    def _refuse_failing(self) -> None:
        """A program that ends again and again will not come up by waiting."""
        for process in self._supervisor.processes():
            if process.pid:
                self._pids[process.name].add(process.pid)
            if len(self._pids[process.name]) >= TRIES or process.state == "fatal":
                said = "\n".join("  " + line for line in last_lines(self._log(process.name), 12))
                raise StackUnavailable(f"{process.name} does not stay up; the end of {self._log(process.name)}:\n{said}")

    def _hint(self, what: str) -> str:
        log = self._log(what)
        return f"see {log}" if log.exists() else f"see {log.parent}"


def run_once(command: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a program to its end. Raises StackUnavailable with what it said last."""
    with log.open("ab") as out:
        done = subprocess.run(command, env=dict(environment), stdout=out, stderr=out, check=False)
    if done.returncode:
        said = "\n".join("  " + line for line in last_lines(log, 12))
        raise StackUnavailable(f"{' '.join(command[-2:])} failed; the end of {log}:\n{said}")
