"""A lake volume that fills up under load: sinks hold, hours stay open, nothing is lost; enlarged under way, all of it is there."""

from __future__ import annotations

import time
from pathlib import Path

from cli.compose import OWN_USER
from cli.storm.load import Load
from sinks.fsck import Range, prove
from sinks.lake import open_store

from .inside import event, metric, ready, said
from .lakes import copier
from .notes import Notes
from .stack import HOUR_SECONDS, Stack

SMALL = Path(__file__).with_name("small.yaml")
FULL_S, SEEN_S = 240.0, 60.0
HELD = "hourmark_sink_held_partitions"  # the alert HourmarkSinkHeld is: its sum by reason is above 0


def full(notes: Notes) -> None:
    with Stack(notes, "full", variables={"STACK_LAKE": "lake", "STACK_USER": str(OWN_USER)}, files=[SMALL]) as stack:
        stack.fetch = copier(stack.project)
        stack.up()
        stack.field.declare_first()
        load = Load(stack.field, 7)
        load.start()
        _fills_up(stack)
        _waits(stack)
        begun = time.monotonic()
        inside = ("run", "--rm", "--privileged", "--user", "0", "-v", f"{stack.project.name}_lake:/lake")
        stack.project.docker(*inside, stack.project.environ["STACK_IMAGE"], "mount", "-o", "remount,size=200m", "/lake")
        stack.overcome("full", "enlarged under way: no partition is held", begun, lambda: not _held(stack))
        stack.account(load)
        begun, store = time.monotonic(), open_store(stack.project.lake.as_uri())
        clock = stack.field.hours
        found = [finding for name in sorted(stack.field.ledgers) for finding in prove(store, name, Range(clock=clock), lambda _what: None)]
        stack.note("fsck --deep", begun, str(found[:3]) if found else "")


def _sink(stack: Stack) -> str:
    return f"{stack.project.name}-sink-1"


def _held(stack: Stack) -> float:
    return sum(metric(stack.project, _sink(stack), HELD).values())


def _fills_up(stack: Stack) -> None:
    begun = time.monotonic()
    while not _held(stack) and time.monotonic() < begun + FULL_S:
        time.sleep(0.5)
    held = metric(stack.project, _sink(stack), HELD)
    wrong = "" if any("lake_unavailable" in labels and count for labels, count in held.items()) else f"not held: {held}"
    stack.note(f"the lake is full: {HELD} {sum(held.values()):.0f}", begun, wrong)


def _waits(stack: Stack) -> None:
    """An hour and a half long: the sinks say why, nothing is sealed, and senders notice nothing."""
    begun, project = time.monotonic(), stack.project
    wrong = f"ready, {SEEN_S:.0f} s after"
    while time.monotonic() < begun + SEEN_S:
        fine, why = ready(project, _sink(stack))
        if not fine:
            wrong = "" if "on hold: lake_unavailable" in why else why
            break
        time.sleep(0.5)
    stack.note("the sink is not ready: on hold", begun, wrong)
    lines = [line for line in said(project, _sink(stack)) if event(line).startswith("on hold: nothing is lost")]
    stack.note("the sink says it in one line", begun, "" if len(lines) == 1 else f"{len(lines)} lines")
    stack.look()
    before, stored, begun = _sealed(stack), stack.field.acknowledged, time.monotonic()
    time.sleep(1.5 * HOUR_SECONDS)
    stack.look()
    wrong = "" if _sealed(stack) == before else f"{_sealed(stack) - before} hours were sealed in a full lake"
    if stack.field.acknowledged == stored:
        wrong = "receivers take nothing any more"
    stack.note("hours stay open, receivers take events", begun, wrong)


def _sealed(stack: Stack) -> int:
    return stack.watch.look(sorted(stack.field.ledgers))
