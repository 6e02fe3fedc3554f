"""Which parts a trial has, in which order they run, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cli.compose import only_one
from cli.demo.run import Plan
from cli.demo.run import run as run_demo
from cli.failures import ANSWER_IS_NO, FINE, WrongInput

from .attack import ATTACKS, attack
from .backup import backup
from .cost import cost
from .full import full
from .notes import Notes
from .ramp import ramp
from .s3 import s3
from .stack import NAME
from .starts import starts

DEMO_EVENTS = 20_000
DEMO_HOUR_S = 10


def demo(notes: Notes) -> None:
    begun = time.monotonic()
    code = run_demo(Plan(DEMO_EVENTS, DEMO_HOUR_S, kill=True, as_json=False, compose=True))
    notes.add("demo", f"{DEMO_EVENTS:,} events, two workers killed", begun, "" if code == FINE else f"exit code {code}")


OWN: dict[str, Callable[[Notes], None]] = {
    "demo": demo,
    "ramp": ramp,
    "cost": cost,
    "starts": starts,
    "full": full,
    "s3": s3,
    "backup": backup,
}
"""Parts with a stack of their own."""

USUAL = ("demo", *ATTACKS)
"""The parts of a trial that names none: five minutes."""

PARTS = (*OWN, *ATTACKS)


def trial(seed: int, only: list[str], keep: Path | None = None) -> int:
    """The exit code. Raises PlatformError when a stack cannot be brought up at all."""
    for part in only:
        if part not in PARTS:
            raise WrongInput(f"no part {part}", remedy=f"there are: {', '.join(PARTS)}")
    wanted, notes = only or USUAL, Notes(keep)
    with only_one(NAME):
        for part in wanted:
            if part in OWN:
                OWN[part](notes)
        if attacks := [part for part in wanted if part in ATTACKS]:
            attack(notes, seed, attacks)
    notes.show()
    return ANSWER_IS_NO if notes.faults() else FINE
