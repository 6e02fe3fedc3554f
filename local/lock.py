"""One start or stop at a time in a home. The system drops the lock of a process that dies, so it is never stale."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import StackUnavailable, unwritable
from local.progress import Progress


@contextmanager
def alone(home: Path, on_progress: Progress, patience: float = 120.0) -> Iterator[None]:
    """Makes the home where it is missing, and holds its lock. Raises StackUnavailable: not writable, or taken for `patience` seconds."""
    try:
        for folder in ("run", "logs"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        lock = (home / "run" / "lock").open("w")
    except OSError as exc:
        raise unwritable(home, exc) from exc
    deadline, told = time.monotonic() + patience, False
    with lock:
        while not _taken(lock.fileno()):
            if time.monotonic() > deadline:
                raise StackUnavailable(f"another `hourmark up` or `down` is still at work in {home}")
            if not told:
                on_progress("waiting for another `hourmark up` or `down` in this home")
                told = True
            time.sleep(0.1)
        yield


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
