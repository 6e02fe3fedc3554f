"""Ends a stack: stage by stage in reverse order, then its supervisor, then whatever is left of its processes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from local import family
from local.errors import StackUnavailable
from local.programs import STAGES
from local.progress import Progress
from local.remembered import Remembered
from local.supervision import GRACE_S, Supervisor, connect, forget_socket


def stop_stack(home: Path, memory: Remembered, on_progress: Progress) -> bool:
    """Returns when no process of the stack is left; False when there was none."""
    supervisor = connect(home, memory.stack)
    found = family.members(home, memory.stack)
    if supervisor is not None:
        try:
            _stop_in_order(supervisor, on_progress)
        except StackUnavailable as exc:
            on_progress(f"{exc.message}; ending all processes")
        supervisor.shutdown()
    killed = family.end(family.members(home, memory.stack), GRACE_S if supervisor else 0.0)
    if killed:
        on_progress(f"killed what did not end: pids {', '.join(map(str, killed))}")
    (home / "run" / "supervisord.pid").unlink(missing_ok=True)
    forget_socket(home)
    return bool(found)


def end_at_once(home: Path, memory: Remembered) -> None:
    """Kills every process of the stack. Data stay whole: nothing of ours relies on an ordered stop."""
    family.end(family.members(home, memory.stack), 0.0)


def _stop_in_order(supervisor: Supervisor, on_progress: Progress) -> None:
    names = {process.name for process in supervisor.processes()}
    for stage in reversed(STAGES):
        members = {name for name in names if name == stage or name.startswith(stage + "-")}
        for name in sorted(members):
            supervisor.stop(name)
        until_stopped(supervisor, members)
        if members:
            on_progress(f"{stage} stopped")


def until_stopped(supervisor: Supervisor, names: Collection[str]) -> None:
    """Returns when none of them has a process; the supervisor kills one after its grace."""
    deadline = time.monotonic() + GRACE_S + 10
    while time.monotonic() < deadline:
        if not any(p.pid or p.state in ("starting", "stopping", "backoff") for p in supervisor.processes() if p.name in names):
            return
        time.sleep(0.05)


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end the foreground as Ctrl-C does. In other threads than the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
