"""All processes of one stack, found by a mark in their environment: no pid file is trusted, so none can be stale.

A pid file may name a program that got the same pid later; the mark cannot, and it finds what a killed supervisor left behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

# outside the platform's own prefix, whose unknown names the services refuse
MARK = "HM_STACK"


def mark(home: Path, stack: str) -> str:
    """What every process of the stack carries. With its home in it: a copy of a home is another stack."""
    return f"{stack}:{home}"


def members(home: Path, stack: str) -> list[psutil.Process]:
    """Processes of this user started for this stack, other than this one and those above it."""
    above = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found, wanted = [], mark(home, stack)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in above and process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == wanted:
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], grace: float) -> list[int]:
    """Waits `grace` seconds for them to end by themselves, then kills the rest. Returns the pids of those killed."""
    _, alive = psutil.wait_procs(list(processes), timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return [process.pid for process in alive]
