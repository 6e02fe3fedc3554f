"""What each container uses at rest and under a steady load, by `docker stats`; the image's size; how long a start takes.

Printed as docs/deploy.md has it. CPU time hardly depends on what else the machine does, but start-up times do: leave it alone meanwhile.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from cli.compose import IMAGE

from .notes import Notes
from .pace import WIDE, Paced
from .stack import Stack, short_hours

HOUR_SECONDS = 60
REST_S, LOAD_S = 60.0, 120.0
SETTLE_S = 20.0  # after a start, and after the load began
RATE = 10_000
LEAST = 0.9  # of RATE, else the table does not say what it is about
BASE = "python:3.12-slim"
UNITS = {"B": 1e-6, "kB": 1e-3, "KiB": 1.024e-3, "MB": 1.0, "MiB": 1.048576, "GB": 1e3, "GiB": 1073.741824}
ORDER = ("front", "receiver", "dedup", "sink", "registry", "postgres", "redis", "kafka")


class Use(NamedTuple):
    """Of one container: mean CPU in % of one core, most memory in MB."""

    cpu: float
    memory: float


def cost(notes: Notes) -> None:
    with Stack(notes, "cost", short_hours(HOUR_SECONDS)) as stack:
        _starts(stack)
        sender = Paced(stack.field, WIDE)
        sender.start()
        time.sleep(SETTLE_S)
        rest = _measure(stack, "at rest", REST_S)
        sender.rate = RATE
        time.sleep(SETTLE_S)
        begun, before = time.monotonic(), stack.field.acknowledged
        load = _measure(stack, f"at {RATE:,} events/s", LOAD_S)
        rate = (stack.field.acknowledged - before) / (time.monotonic() - begun)
        sender.check()
        slow = "" if rate > LEAST * RATE else f"{rate:,.0f} events/s: this machine is too busy, or too slow"
        stack.note(f"{rate:,.0f} events/s", begun, slow)
        for line in (*rows(rest, load, rate), "", *_sizes(stack)):
            stack.out.print(line, markup=False, soft_wrap=True)
        stack.account(sender)


def _starts(stack: Stack) -> None:
    """Until events are taken: with empty volumes, and with those of a `down`. The image is built before."""
    begun = time.monotonic()
    stack.project.compose("build", "--quiet", timeout=900)
    stack.note("image built, as far as the cache did not have it", begun)
    stack.up()
    stack.project.compose("down", timeout=300)
    stack.up()


def _measure(stack: Stack, what: str, seconds: float) -> dict[str, Use]:
    """Container → its use, from as many samples as `docker stats` gives in this time."""
    begun, names = time.monotonic(), [container.name for container in stack.running()]
    cpu, memory = defaultdict[str, list[float]](list), defaultdict[str, float](float)
    while time.monotonic() < begun + seconds:
        for line in stack.project.docker("stats", "--no-stream", "--format", "json", *names).splitlines():
            sample = json.loads(line)
            cpu[sample["Name"]].append(float(sample["CPUPerc"].rstrip("%")))
            memory[sample["Name"]] = max(memory[sample["Name"]], megabytes(sample["MemUsage"].split("/")[0]))
    stack.note(f"{what}: {len(cpu[names[0]])} samples", begun)
    return {name: Use(sum(cpu[name]) / len(cpu[name]), memory[name]) for name in names}


def megabytes(said: str) -> float:
    """`49.2MiB` → 51.6."""
    number = said.strip().rstrip("BKMGikm")
    return float(number) * UNITS[said.strip()[len(number) :]]


def rows(rest: dict[str, Use], load: dict[str, Use], rate: float) -> Iterable[str]:
    """Markdown. Containers of one service stand in one row: the least and the most of them."""
    yield f"| container | at rest | | at {rate:,.0f} events/s | |"
    yield "|---|---|---|---|---|"
    for service in ORDER:
        names = [name for name in rest if name.rsplit("-", 2)[1] == service]
        if not names:
            continue
        each = f", each of {len(names)}" if len(names) > 1 else ""
        cells = " | ".join(_cells([use[name] for name in names]) for use in (rest, load))
        yield f"| `{service}`{each} | {cells} |"
    sums = (f"**{sum(one.cpu for one in use.values()):.0f} %** | **{sum(one.memory for one in use.values()):.0f}**" for use in (rest, load))
    yield f"| **all** | {' | '.join(sums)} |"


def _cells(uses: list[Use]) -> str:
    least, most = min(use.cpu for use in uses), max(use.cpu for use in uses)
    cpu = f"{most:.1f} %" if f"{least:.1f}" == f"{most:.1f}" else f"{least:.1f} to {most:.1f} %"
    return f"{cpu} | {max(use.memory for use in uses):.0f}"


def _sizes(stack: Stack) -> Iterable[str]:
    ours, base = (int(stack.project.docker("image", "inspect", "--format", "{{.Size}}", name)) / 1e6 for name in (IMAGE, BASE))
    yield f"{IMAGE} is {ours:.0f} MB, {ours - base:.0f} MB more than {BASE}"
