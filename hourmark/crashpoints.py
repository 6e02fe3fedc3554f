"""What a test may do to a running service at named steps: let it die there as by `kill -9`, slow it down, or give it another clock.

Only when HOURMARK_TEST_CRASH_AT or HOURMARK_TEST_FAULTS is set at import; without them a step costs one empty call per poll, flush or seal,
never per event. Refuses the profile `production` (`refuse_in`).

HOURMARK_TEST_CRASH_AT: `name` or `name:nth`: the process dies when it comes to this step for the nth time (once: a process that starts
again dies again). HOURMARK_TEST_FAULTS: a folder, looked at each time: the file `crash/<name>` is taken away by the process that dies at
that step; `slow/<name>` holds seconds to sleep there; `clock/<node>` holds seconds to add to the clock of that process.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .errors import SettingsError

CRASH_AT: Final = "HOURMARK_TEST_CRASH_AT"
FAULTS: Final = "HOURMARK_TEST_FAULTS"
CLOCK_LOOK_S: Final = 0.2

POINTS: Final = (
    "receiver.produced",
    "receiver.acknowledged",
    "registry.before_topics",
    "registry.clean_stands",
    "registry.raw_stands",
    "registry.barriers_written",
    "registry.before_commit",
    "registry.committed",
    "registry.published",
    "registry.marked",
    "replay.produced",
    "replay.acknowledged",
    "replay.recorded",
    "dedup.claimed",
    "dedup.produced",
    "dedup.acknowledged",
    "dedup.before_commit",
    "dedup.committed",
    "dedup.barrier_written",
    "lake.written",
    "lake.synced",
    "lake.linked",
    "sink.before_entry",
    "sink.entry_created",
    "sink.decided",
    "sink.file_published",
    "sink.before_presenting",
    "sink.presented",
    "sink.announced",
    "sink.checkpoint_created",
)


def refuse_in(profile: str) -> None:
    """Raises SettingsError when a test setting meets the profile `production`, or names a step that does not exist."""
    found = [name for name in (CRASH_AT, FAULTS) if os.environ.get(name)]
    faults = [f"{name} is for tests, and the profile is `production`" for name in found] if profile == "production" else []
    crash_at = os.environ.get(CRASH_AT, "")
    if crash_at and (crash_at.partition(":")[0] not in POINTS or not _nth(crash_at)):
        faults.append(f"{CRASH_AT}: {crash_at!r} is no step; write name[:nth], with one of {', '.join(POINTS)}")
    if faults:
        raise SettingsError(faults)


def armed(crash_at: str, folder: str) -> Callable[[str], None]:
    """The `crashpoint` of a process with these settings."""
    point, nth = crash_at.partition(":")[0], _nth(crash_at)
    passed: Counter[str] = Counter()

    def crashpoint(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            _die()
        if folder:
            slow = _number(Path(folder) / "slow" / name)
            if slow:
                time.sleep(slow)
            if _taken(Path(folder) / "crash" / name):
                _die()

    return crashpoint


def shifted(folder: str, node: str) -> Callable[[], float]:
    """`time.time` plus what the file `clock/<node>` says at present."""
    path = Path(folder) / "clock" / node
    known = [0.0, 0.0]  # offset, when it was looked up

    def now() -> float:
        moment = time.monotonic()
        if moment - known[1] >= CLOCK_LOOK_S:
            known[:] = _number(path), moment
        return time.time() + known[0]

    return now


def _nth(crash_at: str) -> int:
    """Which passage of the step is meant; 0 for something that is no number."""
    number = crash_at.partition(":")[2] or "1"
    return int(number) if number.isdigit() else 0


def _nothing(_name: str) -> None:
    """The step as it is outside tests."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way; nothing more may happen


def _taken(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True


def _number(file: Path) -> float:
    try:
        return float(file.read_text() or 0)
    except (OSError, ValueError):
        return 0.0


_crash_at, _folder = os.environ.get(CRASH_AT, ""), os.environ.get(FAULTS, "")
crashpoint: Callable[[str], None] = armed(_crash_at, _folder) if _crash_at or _folder else _nothing
clock: Callable[[], float] = shifted(_folder, os.environ.get("HOURMARK_NODE", "")) if _folder else time.time
