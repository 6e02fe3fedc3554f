#!/usr/bin/env python3
"""As many dedup and sink workers as are needed, in containers: asks Prometheus for `hourmark:workers_wanted`, and scales compose.

Up at once, down by one worker after a while of calm. Without an answer, or without a number, nothing is changed. Workers that go get
SIGTERM and finish what they have begun; what they had not finished, the next owner reads again. Standard library only; Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime

ROOMS = ("dedup", "sink")  # of the rules, and services of compose.yaml
QUERY = "hourmark:workers_wanted"


class Scaler:
    """How many workers of one room to run. `calm`: so many looks in a row must say that fewer will do, before one goes."""

    def __init__(self, least: int, most: int, calm: int) -> None:
        self.least, self.most, self.calm = least, most, calm
        self._looks = 0

    def look(self, running: int, wanted: int) -> int:
        """Workers to run now, given those that run and those that are wanted."""
        target = max(self.least, min(self.most, wanted))
        self._looks = self._looks + 1 if target < running else 0
        if target >= running:
            return target
        if self._looks < self.calm:
            return running
        self._looks = 0
        return running - 1


def wanted_now(prometheus: str) -> dict[str, int]:
    """Room → workers wanted, of those rooms that Prometheus has a number for. Raises OSError or ValueError when it has no answer."""
    url = f"{prometheus.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': QUERY})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    numbers = {one["metric"].get("room"): float(one["value"][1]) for one in found}
    return {room: math.ceil(numbers[room]) for room in ROOMS if math.isfinite(numbers.get(room, math.nan))}


class Compose:
    """The stack, through `docker compose`."""

    def __init__(self, command: str) -> None:
        self._command = shlex.split(command)

    def running(self, service: str) -> int:
        said = subprocess.run([*self._command, "ps", "-q", service], check=True, capture_output=True, text=True)
        return len(said.stdout.split())

    def scale(self, counts: Mapping[str, int]) -> None:
        scales = [word for service, count in counts.items() for word in ("--scale", f"{service}={count}")]
        subprocess.run(
            [*self._command, "up", "-d", "--no-deps", "--no-recreate", *scales, *counts], check=True, capture_output=True, text=True
        )


def step(scalers: Mapping[str, Scaler], compose: Compose, prometheus: str) -> str:
    """One look; what was changed or why nothing could be, in words; empty when all is as it should be."""
    try:
        wanted = wanted_now(prometheus)
    except (OSError, ValueError, KeyError) as exc:
        return f"Prometheus at {prometheus} gives no answer ({exc}); nothing is changed"
    if not wanted:
        return f"Prometheus knows no {QUERY} yet; nothing is changed"
    running = {room: compose.running(room) for room in wanted}
    counts = {room: scalers[room].look(running[room], number) for room, number in wanted.items()}
    changed = {room: count for room, count in counts.items() if count != running[room]}
    if not changed:
        return ""
    compose.scale(changed)
    return ", ".join(f"{room} {running[room]} → {count}" for room, count in changed.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="where Prometheus is (profile `observe`)")
    parser.add_argument("--compose", default="docker compose -f docker/compose.yaml", help="how compose is called")
    parser.add_argument("--least", type=int, default=1, help="workers of a room at least")
    parser.add_argument("--most", type=int, default=4, help="workers of a room at most: what the machine can bear")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between looks")
    parser.add_argument("--calm", type=int, default=8, help="looks in a row that must say that fewer will do")
    given = parser.parse_args()
    if not 1 <= given.least <= given.most or given.every <= 0 or given.calm < 1:
        parser.error("--least must be 1 or more, --most no less, --every above 0, --calm 1 or more")
    scalers = {room: Scaler(given.least, given.most, given.calm) for room in ROOMS}
    compose, before = Compose(given.compose), ""
    while True:
        try:
            said = step(scalers, compose, given.prometheus)
        except (subprocess.CalledProcessError, OSError) as exc:
            said = f"compose failed: {(getattr(exc, 'stderr', '') or str(exc)).strip()[-300:]}"
        if said and said != before:
            print(f"{datetime.now(UTC):%H:%M:%SZ} {said}", flush=True)
        before = said
        time.sleep(given.every)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
