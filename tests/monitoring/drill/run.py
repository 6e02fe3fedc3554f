"""All drills one after the other on one stack: the rules made shorter, the scenes, the account, the table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cli.failures import ANSWER_IS_NO, FINE, WrongInput, did_you_mean
from cli.output import console, table
from cli.storm.account import Watch
from hourmark.errors import PlatformError
from local.errors import StackUnavailable

from ..tools import RULES, Prometheus, running
from . import books, events, faster, world
from .ground import Ground
from .scene import Drill, Scene, Seen

# what is quickly over comes first, so that the load has run for some minutes when the senders of a type stop
DRILLS: tuple[Drill, ...] = (*world.PROCESSES, *events.SENDERS, *world.VOLUMES, *events.HOURS, *world.SERVERS)
PAGE = RULES.parents[1] / "docs" / "runbooks" / "README.md"
VOLUMES = {"lake": "192m", "kafka": "512m"}


class Asked(NamedTuple):
    """`only`: names of alerts, empty for all. `mounts`: small volumes may be mounted here."""

    home: Path
    only: Sequence[str]
    write: bool
    keep: bool
    mounts: bool


def list_drills() -> int:
    """What `--list` prints."""
    rows = [(alert, cause) for drill in DRILLS for alert, cause in drill.causes.items()]
    console().print(table(("alert", "caused by"), rows))
    return FINE


def chosen(alerts: Sequence[str], only: Sequence[str]) -> list[Drill]:
    """The drills of these alerts. Raises WrongInput when one is not known, or when rules and drills are not the same alerts."""
    drilled = [alert for drill in DRILLS for alert in drill.causes]
    if faults := sorted(set(alerts) ^ set(drilled)):
        raise WrongInput(f"alerts without a drill, or drills without an alert: {', '.join(faults)}", where="tests/monitoring/drill")
    for name in only:
        if name not in drilled:
            raise WrongInput(f"no drill for {name}{did_you_mean(name, drilled)}", remedy="`--list` shows them")
    return [drill for drill in DRILLS if not only or set(only) & drill.causes.keys()]


def run(asked: Asked) -> int:
    """The exit code. Raises PlatformError when the stack cannot be brought up at all."""
    out = console()
    _sweep(asked.home)
    rules = asked.home / "rules"
    rules.mkdir(parents=True)
    alerts = faster.write(RULES, rules)
    drills = chosen([alert.name for alert in alerts], asked.only)
    out.print("Times of the rules, made shorter for the drill (thresholds are as shipped):")
    for alert in alerts:
        out.print(f"  {alert.name}: {', '.join(alert.changes) or 'as shipped'}", markup=False)
    mounted = _mount(asked.home) if asked.mounts else []
    ground = Ground(asked.home, small=bool(mounted))
    try:
        well = _through(ground, drills, alerts, rules, asked, out)
    finally:
        ground.down()
        for folder in mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
    if well and not asked.keep:
        shutil.rmtree(asked.home)
    else:
        out.print(f"kept: {asked.home} (logs in {asked.home / 'logs'})")
    return FINE if well else ANSWER_IS_NO


def _through(ground: Ground, drills: list[Drill], alerts: list[faster.Alert], rules: Path, asked: Asked, out: Any) -> bool:
    started = time.monotonic()

    def say(text: str) -> None:
        out.print(f"{time.monotonic() - started:7.1f} s  {text}", markup=False)

    ground.up()
    say(f"the stack in {ground.home} is up")
    watch, seen, wrong = Watch(ground.platform.lake), list[Seen](), list[str]()
    data = asked.home / "prometheus"
    data.mkdir()
    with running(data, ground.pages(), rules / "*.rules.yml") as prometheus:
        say(f"Prometheus: {prometheus.url}; to look at the lake: nsenter -t {os.getpid()} -m")
        _await_calm(ground, prometheus)
        for drill in drills:
            say(", ".join(f"{alert}: {cause}" for alert, cause in drill.causes.items()))
            scene = Scene(ground, prometheus, drill, say)
            scene.play()
            seen += scene.seen.values()
            wrong += [f"{name} fired during {', '.join(drill.causes)}, and nobody expected it" for name in scene.unexpected()]
            watch.look(sorted(ground.ledgers))
    exact = books.settle(ground, out, watch)
    wrong += [f"{one.alert}: {one.wrong}" for one in seen if one.wrong]
    _show(out, seen, alerts, f"{len(seen)} alerts in {time.monotonic() - started:.0f} s")
    for line in wrong:
        out.print(line, style="red", markup=False)
    if asked.write and exact and not wrong and not asked.only:
        write_page(seen, alerts)
        out.print(f"the table in {PAGE} is written")
    return exact and not wrong


def _await_calm(ground: Ground, prometheus: Prometheus) -> None:
    """Until every page was seen and some hours are sealed."""
    pages = sum(len(found) for found in ground.pages().values())
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if ground.newest_sealed("drill.held") >= 0 and len(prometheus.query("up == 1")) == pages and not prometheus.alerts():
            return
        time.sleep(1)
    firing = ", ".join(prometheus.alerts()) or "none"
    raise StackUnavailable(f"before any drill: not every page is seen, no hour is sealed, or alerts fire already ({firing})")


def _show(out: Any, seen: list[Seen], alerts: list[faster.Alert], title: str) -> None:
    columns = ("alert", "severity", "cause", "fired after", "over after", "wrong")
    of = {alert.name: alert for alert in alerts}
    rows = [(one.alert, of[one.alert].severity, cause_of(one.alert), _s(one.fired), _s(one.over), one.wrong or 0) for one in seen]
    out.print(table(columns, rows, title=title, right=columns[3:5]))


def cause_of(alert: str) -> str:
    return next(drill.causes[alert] for drill in DRILLS if alert in drill.causes)


def write_page(seen: list[Seen], alerts: list[faster.Alert]) -> None:
    """The measured table takes the place of the one in the runbooks' README."""
    of = {one.alert: one for one in seen}
    lines = [
        f"| `{alert.name}` | {alert.severity} | [{alert.runbook}]({alert.runbook}) | {cause_of(alert.name)} | {alert.shipped_for} "
        f"| {_s(of[alert.name].fired)} | {_s(of[alert.name].over)} |"
        for alert in alerts
    ]
    text, found = re.subn(r"(?m)(^\| `Hourmark\w+` .*\n)+", lambda _: "\n".join(lines) + "\n", PAGE.read_text())
    assert found == 1, f"{PAGE} has {found} tables of alerts"
    PAGE.write_text(text)


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"


def _mount(home: Path) -> list[Path]:
    """Small volumes for what must be able to run full; in this process's own namespace. Empty when it may not."""
    mounted = []
    for name, size in VOLUMES.items():
        folder = home / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "hourmark-drill", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            mounted.append(folder)
    return mounted


def _sweep(place: Path) -> None:
    """A stack left over from an interrupted drill is stopped first."""
    if place.exists():
        with suppress(PlatformError):
            Ground(place, small=False).down()
        shutil.rmtree(place)
