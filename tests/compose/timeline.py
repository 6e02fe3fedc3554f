"""What is seen of workers that come and go: every few seconds one look at load, workers wanted, running and scraped, and their lag."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests.monitoring.tools import Prometheus

from .stack import Stack

ROOMS = ("dedup", "sink")
EVERY_S = 5.0
SEEN = '{__name__=~"hourmark:workers_(wanted|lag_seconds)"}'


class Look(NamedTuple):
    """`second`: since the first look; `rate`: events acknowledged a second since the one before. By room; missing: no number yet."""

    second: float
    rate: float
    wanted: dict[str, int]
    running: dict[str, int]
    scraped: dict[str, int]
    lag: dict[str, float]


def scraped(prometheus: Prometheus) -> dict[str, int]:
    """Service → containers whose metrics Prometheus has."""
    return {one["metric"].get("service", ""): int(one["value"][1]) for one in prometheus.query("sum by (service) (up)")}


class Timeline:
    """One line for each look, as it is taken."""

    def __init__(self, stack: Stack, prometheus: Prometheus) -> None:
        self._stack, self._prometheus = stack, prometheus
        self._begun, self._before = time.monotonic(), (time.monotonic(), stack.field.acknowledged)
        self.looks: list[Look] = []

    def follow(self, deadline: float, until: Callable[[Look], bool] = lambda _look: False) -> None:
        """Looks until then (monotonic clock), or until a look says enough."""
        while time.monotonic() < deadline:
            time.sleep(EVERY_S)
            look = self._look()
            self.looks.append(look)
            rooms = "  ".join(
                f"{room}: wanted {look.wanted.get(room, '-')}, running {look.running[room]}, lag {look.lag.get(room, 0.0):5.1f} s"
                for room in ROOMS
            )
            self._stack.out.print(f"{look.second:6.0f} s  {look.rate:6,.0f} events/s  {rooms}", markup=False)
            if until(look):
                return

    def faults(self) -> list[str]:
        """In words: rooms whose workers did not go up and down again, and workers that Prometheus never saw."""
        wrong = []
        for room in ROOMS:
            course = [count for count, _ in groupby(look.running[room] for look in self.looks)]
            self._stack.out.print(f"{room}: {' → '.join(map(str, course))} workers")
            if max(course) < 2 or course[-1] != 1:
                wrong.append(f"{room} workers did not go up and down again")
            if max(look.scraped.get(room, 0) for look in self.looks) < 2:  # a third one may go before it is ready
                wrong.append(f"Prometheus never had a second {room} worker")
        return wrong

    def draw(self, file: Path) -> None:
        """Load, workers and lag over time, as a PNG."""
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot

        figure, panels = pyplot.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
        seconds = [look.second for look in self.looks]
        panels[0].plot(seconds, [look.rate for look in self.looks], color="#2563a8")
        panels[0].set_ylabel("events acknowledged / s")
        panels[0].yaxis.set_major_formatter("{x:,.0f}")
        panels[0].set_ylim(0)
        for axes, room in zip(panels[1:], ROOMS, strict=True):
            self._draw_room(axes, room, seconds)
        panels[2].set_xlabel("seconds")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=110)
        pyplot.close(figure)

    def _draw_room(self, axes: Any, room: str, seconds: list[float]) -> None:
        lag = axes.twinx()
        lag.fill_between(seconds, [look.lag.get(room, 0.0) for look in self.looks], color="#b45309", alpha=0.25, linewidth=0)
        lag.set_ylabel("lag, s (shaded)", color="#b45309")
        lag.set_ylim(0)
        axes.step(seconds, [look.running[room] for look in self.looks], where="post", color="#2563a8", label="running")
        axes.plot(seconds, [look.wanted.get(room, 1) for look in self.looks], ":", color="#4b5563", label="wanted")
        axes.set_ylabel(f"{room} workers")
        axes.set_yticks(range(5))
        axes.legend(frameon=False, loc="upper left")
        for each in (axes, lag):
            each.spines[["top"]].set_visible(False)

    def _look(self) -> Look:
        found: dict[str, dict[str, float]] = {"wanted": {}, "lag_seconds": {}}
        for one in self._prometheus.query(SEEN):
            found[one["metric"]["__name__"].removeprefix("hourmark:workers_")][one["metric"]["room"]] = float(one["value"][1])
        (then, before), now, count = self._before, time.monotonic(), self._stack.field.acknowledged
        self._before = now, count
        return Look(
            now - self._begun,
            (count - before) / (now - then),
            {room: int(number) for room, number in found["wanted"].items()},
            {room: self._stack.count(room) for room in ROOMS},
            scraped(self._prometheus),
            found["lag_seconds"],
        )
