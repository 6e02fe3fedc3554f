"""A storm from start to end: stack, senders, rounds of faults, quiet, account. Returns the exit code; a failed one keeps its folder."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from cli.addresses import home
from cli.failures import ANSWER_IS_NO, FINE, WrongInput, did_you_mean
from cli.output import console, table

from . import account as books
from . import report
from .faults import FAULTS, Deck
from .load import Load
from .mischief import Poison
from .rig import Rig

TWICE = 0.15  # rounds with two faults
PAUSE_S = (0.7, 2.1)
CALM_EVERY = 10
CALM_MOST_S = 9.0
SEAL_S = 180.0
NEARLY_ALL = 0.97


class Plan(NamedTuple):
    """What was asked for. `only` empty: all faults."""

    rounds: int
    seed: int
    only: tuple[str, ...]
    hour_seconds: int
    backend: str
    keep: bool

    @property
    def command(self) -> str:
        """How to repeat it."""
        only = f" --only {','.join(self.only)}" if self.only else ""
        return f"hourmark storm --rounds {self.rounds} --seed {self.seed} --index {self.backend} --hour-seconds {self.hour_seconds}{only}"


def show_faults() -> int:
    """What `--list` prints."""
    rows = [(fault.name, fault.row, fault.weight) for fault in FAULTS]
    console().print(table(("fault", "row", "in a deck"), rows, right=["in a deck"]))
    return FINE


def run(plan: Plan) -> int:
    """Raises PlatformError when the stack cannot be brought up at all."""
    known = [fault.name for fault in FAULTS]
    for name in plan.only:
        if name not in known:
            raise WrongInput(f"no fault {name}{did_you_mean(name, known)}", remedy="`hourmark storm --list` shows them")
    place = home() / "storm"
    _sweep(place)
    rig, out = Rig(place, plan.hour_seconds, {"HOURMARK_DEDUP_BACKEND": plan.backend}), console()
    out.print(f"storm: {plan.rounds} rounds, seed {plan.seed}, index {plan.backend}, in {place}")
    try:
        rig.up()
        rig.declare_first()
        exact = Storm(rig, plan, out).through()
    except BaseException:
        out.print(f"[bold red]broken off.[/] Logs: {place / 'logs'}. Again: {plan.command}")
        rig.down()
        raise
    rig.down()
    if exact and not plan.keep:
        shutil.rmtree(place)
    elif not exact:
        out.print(f"[bold red]NOT exact.[/] Everything is kept in {place}; logs in {place / 'logs'}. Again: {plan.command}")
    return FINE if exact else ANSWER_IS_NO


def _sweep(place: Path) -> None:
    """A stack left over from an interrupted storm is stopped first."""
    if place.exists():
        Rig(place, 10).down()
        shutil.rmtree(place)


class Storm:
    """One run on a rig that is up. `through` is all of it."""

    def __init__(self, rig: Rig, plan: Plan, out: Any) -> None:
        self._rig, self._plan, self._out = rig, plan, out
        self._random, self._started = random.Random(plan.seed), time.monotonic()
        self._watch, self._poison = books.Watch(rig.lake), Poison(rig)
        self._load = Load(rig, plan.seed)

    def through(self) -> bool:
        """True when everything is exact."""
        self._load.start()
        deck = Deck(self._random, self._plan.only)
        for number in range(1, self._plan.rounds + 1):
            said = [deck.draw().strike(self._rig, self._random)]
            if self._random.random() < TWICE:
                said.append(deck.draw().strike(self._rig, self._random))
            self._pause(self._random.uniform(*PAUSE_S))
            self._tell(f"{number:>4}/{self._plan.rounds}", "; ".join(said))
            if number % CALM_EVERY == 0:
                self._calm()
        return self._account(self._quiet())

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            self._rig.undo_due()
            self._load.check()

    def _calm(self) -> None:
        """Let some hours be sealed, so that faults meet the sealing too; bounded, for what was struck may not allow it."""
        names = sorted(self._rig.ledgers)
        before, end = self._watch.look(names), time.monotonic() + CALM_MOST_S
        while self._watch.look(names) < before + len(names) and time.monotonic() < end:
            self._pause(0.5)

    def _tell(self, head: str, text: str) -> None:
        from rich.markup import escape

        sealed = self._watch.look(sorted(self._rig.ledgers))
        clock = f"{time.monotonic() - self._started:6.1f} s"
        self._out.print(f"[dim]{clock}[/] {head}  {escape(text)}  [dim]{self._rig.acknowledged:,} stored, {sealed} hours sealed[/]")

    def _quiet(self) -> list[str]:
        """End every fault, deliver everything, wait for the seals. What did not come to pass, in words."""
        rig, wrong = self._rig, []
        rig.settle()
        self._tell("  quiet", "all faults end; waiting for the stack")
        behind = rig.ready()
        if behind:
            wrong.append(f"the stack does not come back: {behind}")
        undelivered, open_ = self._load.finish()
        wrong += undelivered
        left = self._poison.close() + open_
        if left:
            wrong.append(f"{left} events never got a verdict")
        hour = rig.hour_now() + 1  # a barrier may have come early, then the last events belong to the next hour
        self._tell("  quiet", "everything has its verdict; waiting for the seals")
        deadline = time.monotonic() + SEAL_S
        names = sorted(rig.ledgers)
        while not books.sealed_long_enough(rig.lake, names, hour) and time.monotonic() < deadline:
            time.sleep(0.5)
        self._until = hour
        self._watch.look(names)
        return wrong

    def _account(self, wrong: list[str]) -> bool:
        rig = self._rig
        ledgers = [rig.ledgers[name] for name in sorted(rig.ledgers)]
        accounts = [books.strike(rig.lake, ledger, self._until, self._watch, rig.spoilt) for ledger in ledgers]
        for found in accounts:
            books.poison_counted(rig.lake, found, self._poison.written)
        books.unannounced(rig.kafka, rig.lake, accounts)
        rejected = books.rejects(rig.kafka, self._poison.written, [*ledgers, rig.undeclared], rig.spoilt)
        sent, stored = sum(a.sent for a in accounts), sum(a.stored for a in accounts)
        if stored < NEARLY_ALL * sent or not stored:
            wrong.append(f"void: only {stored:,} of {sent:,} events were stored")
        title = f"Account after {time.monotonic() - self._started:.0f} s"
        return report.show(self._out, [*accounts, rejected], wrong, title, f"Seed {self._plan.seed}.")
