"""A stack in containers for one part of a trial: from nothing to nothing, the event types in it, and the account by id.

Promises: used as a context, it leaves no container, volume or network; what is wrong goes to the notes. After a fault its folder stays.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from cli.addresses import home
from cli.compose import Container, Project, time_lapse
from cli.storm import account as books
from cli.storm import report
from cli.storm.field import Field
from hourmark.errors import PlatformError
from hourmark.hours import label

from .notes import Notes

NAME = "hourmark-test"
ONE_SHOTS = ("secrets", "bucket")
HOUR_SECONDS = 10
WELL_S = 180.0
FLOW = 500  # events that are acknowledged before an action counts as overcome
SEAL_S = 180.0


class Senders(Protocol):
    """Whoever sends to the field: `finish` as in cli.storm.load.Load."""

    def finish(self) -> tuple[list[str], int]: ...


def short_hours(seconds: int = HOUR_SECONDS) -> dict[str, str]:
    """Settings of hours that begin now."""
    return time_lapse(seconds, label(int(time.time()) // 3600))


class Stack:
    """`settings`: HOURMARK_*, hours of 10 s by default. `variables`: STACK_*. `files`: compose files on top of the project's own."""

    def __init__(
        self,
        notes: Notes,
        part: str,
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        self.notes, self.part, self.field = notes, part, Field()
        self.place = home() / "compose-test" / part
        self.project = Project(NAME, self.place / "lake", settings or short_hours(), variables, files)
        self.watch = books.Watch(self.project.lake)
        self.fetch: Callable[[], None] = lambda: None  # brings a lake that lies elsewhere into the project's folder
        self._faults = notes.faults()

    def __enter__(self) -> Self:
        self.project.down()
        shutil.rmtree(self.place, ignore_errors=True)
        self.project.prepare()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or self.notes.faults() > self._faults:
            self._keep_logs()
        begun, volumes = time.monotonic(), self.project.volumes()
        self.project.down()
        left = self.project.left(volumes)
        self.note("down -v", begun, f"left behind: {', '.join(left)}" if left else "")
        if kind is None and self.notes.faults() == self._faults:
            shutil.rmtree(self.place)

    def up(self, *more: str) -> None:
        """Built and started; the field knows where it is. `more`: options of `up`, names of services."""
        begun = time.monotonic()
        self.project.up("--build", *more)
        self.field.reach(self.project.addresses())
        self.note("up -d --wait", begun)

    def note(self, what: str, begun: float, wrong: str = "", part: str = "") -> None:
        self.notes.add(part or self.part, what, begun, wrong, self.field.acknowledged)

    def running(self) -> list[Container]:
        return [c for c in self.project.containers() if c.state == "running"]

    def count(self, service: str) -> int:
        """Its containers that run."""
        return sum(1 for c in self.running() if c.service == service)

    def overcome(self, part: str, what: str, begun: float, done: Callable[[], bool] = lambda: True, wrong: str = "") -> None:
        """Waits until it is done, every container is well, and events have flowed since."""
        before, deadline = -1, time.monotonic() + WELL_S
        while time.monotonic() < deadline:
            if before < 0 and done() and not self._ill():
                before = self.field.acknowledged
            if before >= 0 and self.field.acknowledged >= before + FLOW:
                self.note(what, begun, wrong, part)
                return
            time.sleep(0.3)
        ill = ", ".join(f"{c.name} {c.state} {c.health}".strip() for c in self._ill())
        self.note(what, begun, f"not overcome: {ill or 'no events flow'}", part)

    def look(self) -> None:
        """At the sealed hours so far: none may change or go."""
        self.fetch()
        self.watch.look(sorted(self.field.ledgers))

    def account(self, senders: Senders, ending: str = "") -> None:
        """Ends the senders, waits until their last hour is sealed, and compares the lake with their ledgers, id by id."""
        begun, field, lake = time.monotonic(), self.field, self.project.lake
        wrong, open_ = senders.finish()
        if open_:
            wrong.append(f"{open_} events never got a verdict")
        until = field.hour_now() + 1  # a barrier may have come early, then the last events belong to the next hour
        names, deadline = sorted(field.ledgers), time.monotonic() + SEAL_S
        while not books.sealed_long_enough(lake, names, until) and time.monotonic() < deadline:
            time.sleep(0.5)
            self.fetch()
        self.look()
        ledgers = [field.ledgers[name] for name in names]
        accounts = [books.strike(lake, ledger, until, self.watch, field.spoilt) for ledger in ledgers]
        books.unannounced(field.kafka, lake, accounts)
        rejected = books.rejects(field.kafka, {}, [*ledgers, field.undeclared], field.spoilt)
        exact = report.show(self.out, [*accounts, rejected], wrong, "Account, by event id", ending)
        self.note("account by id", begun, "" if exact else "not exact")

    @property
    def out(self) -> Any:
        return self.notes.out

    def _ill(self) -> list[Container]:
        return [c for c in self.project.containers() if not c.fine and c.service not in ONE_SHOTS]

    def _keep_logs(self) -> None:
        """Everything the containers said, for whoever looks for the reason."""
        file = self.place / "logs"
        with contextlib.suppress(PlatformError):
            file.write_text(self.project.compose("logs", "--no-color", "--timestamps"))
            self.out.print(f"what the containers said is in {file}")
