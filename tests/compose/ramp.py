"""A load that rises and falls, and docker/autoscale.py that follows it: workers come and go by themselves, and every event stands once.

The workers are held to a few percent of a core (slow.yaml), and the autoscaler looks more often than it does by default: else two cores
and six minutes would not do.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.compose import FILE
from cli.failures import Unreachable
from tests.monitoring.tools import Prometheus

from .notes import Notes
from .pace import SMALL, Paced
from .stack import Stack, short_hours
from .timeline import ROOMS, Look, Timeline, scraped

SLOW = Path(__file__).with_name("slow.yaml")
LOAD = ((15, 1_000), (15, 7_000), (80, 14_000), (15, 7_000))  # seconds, events a second
AFTERWARDS = 300  # events a second, until as few workers run as before
CALM_S = 240.0
MOST = 3
HOUR_SECONDS = 20
OBSERVED_S = 90.0
AUTOSCALER = ("--most", str(MOST), "--every", "5", "--calm", "3")


def ramp(notes: Notes) -> None:
    settings = {**short_hours(HOUR_SECONDS), "HOURMARK_CANARY_URL": "http://front:8080", "HOURMARK_CANARY_SECONDS": "2"}
    with Stack(notes, "ramp", settings, files=[SLOW]) as stack:
        stack.up()
        prometheus = _observed(stack)
        sender = Paced(stack.field, SMALL)
        sender.start()
        timeline, begun = Timeline(stack, prometheus), time.monotonic()
        with _autoscaler(stack, prometheus) as scaler:
            for seconds, sender.rate in LOAD:
                timeline.follow(time.monotonic() + seconds)
                sender.check()
            sender.rate = AFTERWARDS
            timeline.follow(time.monotonic() + CALM_S, until=_at_rest)
            wrong = [] if scaler.poll() is None else [f"autoscale.py has ended with {scaler.returncode}"]
        stack.note("the load rose and fell", begun, "; ".join([*wrong, *timeline.faults()]))
        if notes.keep:
            timeline.draw(notes.keep / "ramp.png")
        stack.account(sender)


def _at_rest(look: Look) -> bool:
    return all(look.running[room] == 1 for room in ROOMS)


def _observed(stack: Stack) -> Prometheus:
    """Prometheus beside the stack, when it has found every process, and taken all the rules."""
    begun = time.monotonic()
    stack.project.compose("--profile", "observe", "up", "-d", "--no-deps", "prometheus")
    found = Prometheus(f"http://127.0.0.1:{stack.project.environ['STACK_PROMETHEUS_PORT']}")
    missing = "no answer"
    while missing and time.monotonic() < begun + OBSERVED_S:
        try:
            missing = _missing(stack, found)
        except OSError as exc:
            missing = f"no answer: {exc}"
        time.sleep(0.5)
    stack.note("Prometheus: every process scraped, rules taken, canaries seen", begun, missing)
    return found


def _missing(stack: Stack, prometheus: Prometheus) -> str:
    """What Prometheus does not have, in words."""
    have = scraped(prometheus)
    for service in ("registry", "receiver", *ROOMS):
        if (run := stack.count(service)) != have.get(service, 0):
            return f"{have.get(service, 0)} of {run} {service} containers are scraped"
    ill = [rule["name"] for rule in prometheus.rules() if rule["health"] != "ok"]
    if ill or not prometheus.rules():
        return f"rules that are not evaluated: {', '.join(ill) or 'all'}"
    if (known := len(prometheus.query("hourmark:workers_wanted"))) != len(ROOMS):
        return f"workers wanted are known of {known} rooms"
    stages = {one["metric"]["stage"] for one in prometheus.query("hourmark_canary_last_timestamp_seconds > 0")}
    return "" if {"sent", "stored", "clean"} <= stages else f"canaries only {', '.join(sorted(stages)) or 'nowhere'}"


@contextmanager
def _autoscaler(stack: Stack, prometheus: Prometheus) -> Iterator[subprocess.Popen[bytes]]:
    """docker/autoscale.py as an operator runs it; what it said is printed at its end."""
    words = [sys.executable, str(FILE.with_name("autoscale.py")), *AUTOSCALER]
    words += ["--prometheus", prometheus.url, "--compose", shlex.join(stack.project.command)]
    said = stack.place / "autoscale.log"
    with said.open("wb") as log:
        process = subprocess.Popen(words, env=dict(stack.project.environ), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise Unreachable("no end after SIGTERM", where="docker/autoscale.py") from exc
        stack.out.print("autoscale.py:\n" + said.read_text(), markup=False)
