"""The whole platform on this machine: real servers and all services under one process supervisor, in one home.

Promises: `up` returns when events can be sent; what ends is started again; `down` leaves no process behind. Two homes are two stacks.
Refuses: to run with settings other than the ones it was started with, to change the hours of a home, to guess about a damaged one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hourmark.settings import load
from local import family, kafka, redis, remembered
from local.errors import StackUnavailable, unwritable
from local.java import KAFKA_VERSION, kafka_is_here
from local.lock import alone
from local.logs import follow, last_lines
from local.plan import changes, plan
from local.ports import HOST
from local.programs import SESSIONS, STAGES, environment, programs, service_command
from local.progress import Progress, silent
from local.remembered import Remembered
from local.server import bound_to_parent, spawn
from local.settings import StackSettings
from local.starting import Starting, run_once
from local.status import ProcessStatus, StackStatus, asked, says_ok, why_not
from local.stopping import end_at_once, signals_as_interrupt, stop_stack, until_stopped
from local.supervision import Process, Supervisor, configuration, connect, launch


class Stack:
    """One home's stack. Every method may be called by any process at any time; starts and stops exclude one another by a lock."""

    def __init__(
        self,
        settings: StackSettings | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        command_of: Callable[[str], list[str]] = service_command,
    ) -> None:
        """`settings`: from the environment by default (raises SettingsError). `environ` passes through to the services.

        `command_of` gives the command of a service room.
        """
        self.settings = settings or load(StackSettings)
        self._environ = dict(os.environ if environ is None else environ)
        self._command_of = command_of

    @property
    def home(self) -> Path:
        return self.settings.home

    def up(self, wait: bool = True, on_progress: Progress = silent, *, bound: bool = False) -> bool:
        """Starts what does not run and waits until the stack is ready. False when it was up already.

        `bound`: the stack ends with this process, however that ends (Linux). `wait` False: all is started, nothing awaited.
        Raises PortTaken, ServerUnavailable or StackUnavailable; then (and at Ctrl-C) everything this call started is stopped.
        """
        with alone(self.home, on_progress):
            known = remembered.read(self.home)
            running = connect(self.home, known.stack) if known else None
            if known and running:
                self._refuse_changes(known)
                self._start(running, known, wait, silent)  # an `up` that was cut short is completed
                on_progress("already up")
                return False
            if known:
                self._sweep(known, on_progress)
            memory = plan(self.settings, known, self._environ)
            fetching = memory.own_kafka and not kafka_is_here()
            on_progress(f"fetching Apache Kafka {KAFKA_VERSION}, once for this user" if fetching else "preparing")
            self._prepare(memory)
            try:
                supervisor = launch(self.home, memory.stack, self._environment(memory), bound=bound)
                self._start(supervisor, memory, wait, on_progress)
            except BaseException:
                stop_stack(self.home, memory, silent)
                raise
            return True

    def down(self, on_progress: Progress = silent) -> bool:
        """Stops everything in order and returns when no process is left. False when nothing was up."""
        if not (self.home / "stack.json").exists():
            return False
        with alone(self.home, on_progress):
            memory = remembered.read(self.home)
            return stop_stack(self.home, memory, on_progress) if memory else False

    def run(self, on_progress: Progress = silent) -> None:
        """`up` in the foreground: tells what happens until Ctrl-C or SIGTERM, then stops everything.

        Returns too when `down` ran elsewhere.
        """
        with signals_as_interrupt():
            started = False
            try:
                started = self.up(on_progress=on_progress, bound=True)
                on_progress("up; Ctrl-C stops everything" if started else "it was started elsewhere; Ctrl-C leaves it up")
                self.watch(on_progress)
                on_progress("it was stopped elsewhere")
            except KeyboardInterrupt:
                if started:
                    self._down_or_at_once(on_progress)

    def _down_or_at_once(self, on_progress: Progress) -> None:
        on_progress("stopping (Ctrl-C again ends everything at once)")
        try:
            self.down(on_progress)
        except KeyboardInterrupt:
            memory = remembered.read(self.home)
            if memory is not None:
                end_at_once(self.home, memory)

    def watch(self, on_progress: Progress = silent, every: float = 1.0) -> None:
        """Tells of every process that ended or was started again. Returns when the stack is down."""
        before: dict[str, tuple[int, str]] = {}
        while (supervisor := self._supervisor()) is not None:
            try:
                now = {p.name: (p.pid, p.state) for p in supervisor.processes()}
            except StackUnavailable:  # it is being stopped
                now = {}
            for name, (pid, state) in now.items():
                was = before.get(name)
                if was and pid and pid != was[0]:
                    on_progress(f"{name} runs again (pid {pid})")
                elif was and state != was[1] and state not in ("running", "starting"):
                    on_progress(f"{name} {state}; see {self.log(name)}")
            before = now
            time.sleep(every)

    def status(self) -> StackStatus:
        """What runs and answers now. Raises StackUnavailable when no stack was ever up in this home."""
        memory = remembered.read(self.home)
        if memory is None:
            raise StackUnavailable(f"no stack in {self.home}; start one with `hourmark up`")
        supervisor = connect(self.home, memory.stack)
        running = supervisor.processes() if supervisor else []
        up = supervisor is not None
        order = {name: number for number, name in enumerate(STAGES)}
        processes = [self._process(memory, p) for p in running]
        processes.sort(key=lambda p: (order.get(p.name.rpartition("-")[0] or p.name, 0), p.name))
        parts = urlsplit(memory.lake)
        return StackStatus(
            up=up,
            receiver=memory.receiver,
            registry=memory.registry,
            kafka=memory.kafka,
            redis=memory.redis,
            lake=unquote(parts.path) if parts.scheme == "file" else memory.lake,
            hour_seconds=memory.hour_seconds,
            hour_anchor=memory.hour_anchor,
            write_key=memory.write_key,
            processes=tuple(processes),
            kafka_ready=up and kafka.answers(memory.kafka),
            redis_ready=up and redis.answers(memory.redis),
            registry_ready=up and says_ok(urlsplit(memory.registry).netloc, "/healthz"),
            receiver_ready=up and says_ok(urlsplit(memory.receiver).netloc, "/readyz"),
        )

    def log(self, name: str) -> Path:
        """Log file of a process."""
        return self.home / "logs" / f"{name}.log"

    def logs(self, name: str = "", *, lines: int = 50, following: bool = False) -> Iterator[tuple[str, str]]:
        """(process, line) of one process or of all; `following`: goes on with new lines while the stack is up."""
        names = [name] if name else sorted(file.stem for file in (self.home / "logs").glob("*.log"))
        files = {found: self.log(found) for found in names}
        if name and not files[name].exists():
            raise StackUnavailable(f"no log of {name} in {self.home / 'logs'}")
        if not following:
            return iter([(found, line) for found, file in files.items() for line in last_lines(file, lines)])
        return follow(files, lines, lambda: self._supervisor() is not None)

    def processes(self) -> list[Process]:
        """What the supervisor knows of every process, without asking them; empty when the stack is not up."""
        supervisor = self._supervisor()
        return supervisor.processes() if supervisor else []

    def extra(self, module: str, name: str) -> subprocess.Popen[bytes]:
        """One more process of a service room beside the supervised ones, which ends with this process. The caller stops it."""
        memory = remembered.read(self.home)
        if memory is None:
            raise StackUnavailable(f"no stack in {self.home}; start one with `hourmark up`")
        environ = {**self._environment(memory), "HOURMARK_NODE": name}
        with self.log(name).open("ab") as log:
            command = bound_to_parent(self._command_of(module))
            return spawn(command, env=environ, cwd=self.home / "run", stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_everything(self) -> None:
        """SIGKILL for every process of the stack and its supervisor, as when the machine dies. `up` starts it again."""
        memory = remembered.read(self.home)
        if memory is not None:
            end_at_once(self.home, memory)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to one process. Raises StackUnavailable when the stack is not up or knows no such process."""
        self._need().signal(name, number)

    def kill(self, name: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        self.signal(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """Stops one process in order; it stays stopped until `start` or the next `up`."""
        self.ask_to_stop(name)
        until_stopped(self._need(), {name})

    def ask_to_stop(self, name: str) -> None:
        """As `stop`, without waiting for its end."""
        self._need().stop(name)

    def start(self, name: str) -> None:
        """Starts one process; does not wait for it."""
        self._need().start(name)

    def _prepare(self, memory: Remembered) -> None:
        """Writes all files that the processes need."""
        try:
            remembered.write(self.home, memory)
            found = programs(self.settings, memory, self._command_of)
            (self.home / "run" / "supervisord.conf").write_text(configuration(self.home, memory.stack, found))
        except OSError as exc:
            raise unwritable(self.home, exc) from exc

    def _need(self) -> Supervisor:
        supervisor = self._supervisor()
        if supervisor is None:
            raise StackUnavailable(f"the stack in {self.home} is not up; start it with `hourmark up`")
        return supervisor

    def _supervisor(self) -> Supervisor | None:
        memory = remembered.read(self.home)
        return connect(self.home, memory.stack) if memory else None

    def _process(self, memory: Remembered, found: Process) -> ProcessStatus:
        if not found.pid:
            return ProcessStatus(found.name, None, found.state, False)
        if found.name == "registry":
            return ProcessStatus(found.name, found.pid, found.state, says_ok(urlsplit(memory.registry).netloc, "/readyz", 1.0))
        port = memory.ports.get(f"metrics-{found.name}")
        ready = asked(f"{HOST}:{port}", "/readyz", 1.0) if port else None
        return ProcessStatus(found.name, found.pid, found.state, ready, why_not(f"{HOST}:{port}", 1.0) if ready is False else "")

    def _environment(self, memory: Remembered) -> dict[str, str]:
        return {**SESSIONS, **self._environ, **environment(self.settings, memory), family.MARK: family.mark(self.home, memory.stack)}

    def _refuse_changes(self, memory: Remembered) -> None:
        changed = changes(self.settings, memory, self._environ)
        if changed:
            raise StackUnavailable(
                f"the stack in {self.home} is up with another {', '.join(changed)}; run `hourmark down`, then `hourmark up` again"
            )

    def _start(self, supervisor: Supervisor, memory: Remembered, wait: bool, on_progress: Progress) -> None:
        starting = Starting(supervisor, memory, self.log, self.settings.start_seconds, on_progress)
        if wait:
            starting.in_order(lambda: self._reshard(memory, on_progress))
        else:
            starting.at_once()

    def _reshard(self, memory: Remembered, on_progress: Progress) -> None:
        """Another number of shards than last time: what the dedup workers know moves to its new groups before they start."""
        if memory.dedup_shards != self.settings.dedup_shards:
            on_progress(f"moving event types from {memory.dedup_shards} dedup shards to {self.settings.dedup_shards}")
            run_once(self._command_of("streams.reshard"), self._environment(memory), self.log("reshard"))
            memory.dedup_shards = self.settings.dedup_shards
            remembered.write(self.home, memory)

    def _sweep(self, memory: Remembered, on_progress: Progress) -> None:
        """After a run that was cut short: nothing of it may hold ports or data. Its servers recover by themselves."""
        if stop_stack(self.home, memory, silent):
            on_progress("ended what an interrupted run had left")
