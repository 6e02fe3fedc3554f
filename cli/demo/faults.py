"""Kills workers while events flow: `kill -9`, with a notice, once each, when enough has been sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass
class Fault:
    """Kill this process when `share` of all events has been acknowledged."""

    process: str
    share: float
    done: bool = False


class Faults:
    """`kill` takes a process name and returns the pid it killed."""

    def __init__(self, faults: Sequence[Fault], kill: Callable[[str], int], notice: Callable[[str], None]) -> None:
        self._faults, self._kill, self._notice = faults, kill, notice

    def due(self, share: float) -> None:
        """Do what is due now that `share` of the events has been acknowledged."""
        for fault in self._faults:
            if not fault.done and share >= fault.share:
                fault.done = True
                pid = self._kill(fault.process)
                self._notice(f"kill -9 {pid} ({fault.process}): it is started again, nothing may be lost or doubled")
