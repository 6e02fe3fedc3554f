"""What an operator does to containers, and what happens to them, while events flow; then the account by id. Ten minutes at most."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cli.addresses import home
from cli.compose import IMAGE, Container, Project, only_one, time_lapse
from cli.demo.run import Plan
from cli.demo.run import run as demo
from cli.failures import ANSWER_IS_NO, FINE, WrongInput
from cli.output import console, table
from cli.storm import account as books
from cli.storm import report
from cli.storm.field import Field
from cli.storm.load import Load
from hourmark.errors import PlatformError
from hourmark.hours import label

NAME = "hourmark-test"
NEXT = "hourmark:next"
SERVERS = ("kafka", "redis", "postgres", "front")
HOUR_SECONDS = 10
DEMO_EVENTS = 20_000
WELL_S = 180.0
FLOW = 500  # events that are acknowledged before an action counts as overcome
SEAL_S = 180.0


class Step(NamedTuple):
    """`seconds`: until every container was well and events flowed again. `wrong`: empty when all went as it should."""

    part: str
    what: str
    seconds: float
    stored: int
    wrong: str


class Trial:
    """`only` empty: all parts. Every part leaves the stack as it found it."""

    def __init__(self, seed: int, only: list[str]) -> None:
        self._parts: dict[str, Callable[[], None]] = {
            "demo": self._demo,
            "kill": self._kill,
            "scale": self._scale,
            "restart": self._restart,
            "upgrade": self._upgrade,
        }
        for part in only:
            if part not in self._parts:
                raise WrongInput(f"no part {part}", remedy=f"there are: {', '.join(self._parts)}")
        self._wanted, self._seed = only or list(self._parts), seed
        self._out, self._steps, self._started = console(), list[Step](), time.monotonic()
        self._field = Field()
        self._place = home() / "compose-test"
        self._alone = only_one(NAME)
        self._project = Project(NAME, self._place / "lake", time_lapse(HOUR_SECONDS, label(int(time.time()) // 3600)))

    def run(self) -> int:
        """The exit code. Raises PlatformError when the stack cannot be brought up at all."""
        self._project.down()
        shutil.rmtree(self._place, ignore_errors=True)
        if "demo" in self._wanted:
            self._demo()
        try:
            exact = self._attack()
        except BaseException:
            self._keep_logs()
            raise
        finally:
            begun, volumes = time.monotonic(), self._project.volumes()
            self._project.down()
        left = self._project.left(volumes)
        self._note("down", "down -v", begun, f"left behind: {', '.join(left)}" if left else "")
        faults = [step for step in self._steps if step.wrong]
        rows = [(s.part, s.what, f"{s.seconds:.1f} s", s.stored, s.wrong or 0) for s in self._steps]
        columns = ("part", "what", "well after", "stored so far", "wrong")
        self._out.print(table(columns, rows, title=f"{time.monotonic() - self._started:.0f} s in all", right=columns[2:4]))
        if exact and not faults:
            shutil.rmtree(self._place)
            return FINE
        return ANSWER_IS_NO

    def _demo(self) -> None:
        begun = time.monotonic()
        code = demo(Plan(DEMO_EVENTS, HOUR_SECONDS, kill=True, as_json=False, compose=True))
        self._note("demo", f"{DEMO_EVENTS:,} events, two workers killed", begun, "" if code == FINE else f"exit code {code}")

    def _attack(self) -> bool:
        begun = time.monotonic()
        self._project.prepare()
        self._project.up("--build")
        self._field.reach(self._project.addresses())
        self._note("up", "up -d --wait", begun)
        self._field.declare_first()
        load = Load(self._field, self._seed)
        watch = books.Watch(self._project.lake)
        load.start()
        for part in self._wanted:
            if part != "demo":
                self._parts[part]()
                load.check()
                watch.look(sorted(self._field.ledgers))
        return self._account(load, watch)

    def _kill(self) -> None:
        for container in self._running():
            begun, name = time.monotonic(), container.name
            pid = self._project.kill(name)
            self._overcome("kill", f"kill -9 {name}", begun, partial(self._has_other_pid, name, pid))

    def _scale(self) -> None:
        for count in (3, 1):
            begun = time.monotonic()
            self._project.up("--no-recreate", scale={"dedup": count, "sink": count})
            self._overcome("scale", f"dedup and sink workers: {count}", begun, partial(self._has_workers, 2 * count))

    def _restart(self) -> None:
        for container in self._running():
            begun = time.monotonic()
            self._project.docker("stop", container.name)
            code = self._project.docker("inspect", "--format", "{{.State.ExitCode}}", container.name).strip()
            self._project.docker("start", container.name)
            forced = "did not stop within its grace" if code == "137" else ""
            self._overcome("restart", f"stop and start {container.name} (exit code {code})", begun, lambda: True, forced)

    def _upgrade(self) -> None:
        for image, version in ((NEXT, "next"), (IMAGE, "local")):
            begun = time.monotonic()
            self._project.up("--build", STACK_IMAGE=image, STACK_VERSION=version)
            self._overcome("upgrade", f"every service from image {image}", begun, lambda: True, self._not_of(version))
        self._project.docker("image", "rm", NEXT)

    def _not_of(self, version: str) -> str:
        """The services' containers whose image has another version."""
        asked = '{{index .Config.Labels "org.opencontainers.image.version"}}'
        names = [c.name for c in self._running() if c.service not in SERVERS]
        other = [name for name in names if self._project.docker("inspect", "--format", asked, name).strip() != version]
        return f"not of version {version}: {', '.join(other)}" if other else ""

    def _keep_logs(self) -> None:
        """Everything the containers said, for whoever looks for the reason."""
        file = self._place / "logs"
        with contextlib.suppress(PlatformError):
            file.write_text(self._project.compose("logs", "--no-color", "--timestamps"))
            self._out.print(f"what the containers said is in {file}")

    # -- what was seen

    def _running(self) -> list[Container]:
        return [c for c in self._project.containers() if c.state == "running"]

    def _has_workers(self, count: int) -> bool:
        return sum(1 for c in self._running() if c.service in ("dedup", "sink")) == count

    def _has_other_pid(self, name: str, pid: int) -> bool:
        now = int(self._project.docker("inspect", "--format", "{{.State.Pid}}", name).strip())
        return now not in (0, pid)

    def _overcome(self, part: str, what: str, begun: float, done: Callable[[], bool], wrong: str = "") -> None:
        """Waits until it is done, every container is well, and events have flowed since."""
        before, deadline = -1, time.monotonic() + WELL_S
        while time.monotonic() < deadline:
            containers = [c for c in self._project.containers() if c.service != "secrets"]
            if before < 0 and done() and all(c.fine for c in containers):
                before = self._field.acknowledged
            if before >= 0 and self._field.acknowledged >= before + FLOW:
                self._note(part, what, begun, wrong)
                return
            time.sleep(0.3)
        ill = ", ".join(
            f"{c.name} {c.state} {c.health}".strip() for c in self._project.containers() if not c.fine and c.service != "secrets"
        )
        self._note(part, what, begun, f"not overcome: {ill or 'no events flow'}")

    def _note(self, part: str, what: str, begun: float, wrong: str = "") -> None:
        step = Step(part, what, time.monotonic() - begun, self._field.acknowledged, wrong)
        self._steps.append(step)
        clock = f"{time.monotonic() - self._started:6.1f} s"
        self._out.print(f"{clock}  {part:<8} {what}: well after {step.seconds:.1f} s; {step.stored:,} stored  {wrong}", markup=False)

    def _account(self, load: Load, watch: books.Watch) -> bool:
        field, lake = self._field, self._project.lake
        wrong, open_ = load.finish()
        if open_:
            wrong.append(f"{open_} events never got a verdict")
        until = field.hour_now() + 1  # a barrier may have come early, then the last events belong to the next hour
        names, deadline = sorted(field.ledgers), time.monotonic() + SEAL_S
        while not books.sealed_long_enough(lake, names, until) and time.monotonic() < deadline:
            time.sleep(0.5)
        watch.look(names)
        ledgers = [field.ledgers[name] for name in names]
        accounts = [books.strike(lake, ledger, until, watch, field.spoilt) for ledger in ledgers]
        books.unannounced(field.kafka, lake, accounts)
        rejected = books.rejects(field.kafka, {}, [*ledgers, field.undeclared], field.spoilt)
        exact = report.show(self._out, [*accounts, rejected], wrong, "Account, by event id", f"Seed {self._seed}.")

        if not exact:
            self._keep_logs()
        return exact
