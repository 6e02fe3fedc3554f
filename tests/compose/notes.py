"""What was done in a trial, how long it took, and what was wrong; printed as it happens, and once more as a table at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from cli.output import console, table


class Step(NamedTuple):
    """`seconds`: until it was done and all was well. `stored`: events acknowledged by then. `wrong`: empty when all was right."""

    part: str
    what: str
    seconds: float
    stored: int
    wrong: str


class Notes:
    """Of one trial. `out`: where parts print what is more than a line; `keep`: a folder for what they have to show, if it is wanted."""

    def __init__(self, keep: Path | None = None) -> None:
        self.keep, self.out, self._steps, self._started = keep, console(), list[Step](), time.monotonic()

    def add(self, part: str, what: str, begun: float, wrong: str = "", stored: int = 0) -> None:
        """`begun`: by the monotonic clock."""
        step = Step(part, what, time.monotonic() - begun, stored, wrong)
        self._steps.append(step)
        clock = f"{time.monotonic() - self._started:6.1f} s"
        self.out.print(f"{clock}  {part:<8} {what}: well after {step.seconds:.1f} s; {step.stored:,} stored  {wrong}", markup=False)

    def faults(self) -> int:
        """Steps so far of which something was wrong."""
        return sum(1 for step in self._steps if step.wrong)

    def show(self) -> None:
        rows = [(s.part, s.what, f"{s.seconds:.1f} s", s.stored, s.wrong or 0) for s in self._steps]
        columns = ("part", "what", "well after", "stored so far", "wrong")
        self.out.print(table(columns, rows, title=f"{time.monotonic() - self._started:.0f} s in all", right=columns[2:4]))
