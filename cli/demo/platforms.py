"""Where a demo can take place: the native stack, or containers. Both are made for it, emptied before, and stopped behind it."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path
from typing import Protocol

from cli.addresses import Addresses, home
from cli.compose import Project, only_one, time_lapse
from hourmark.hours import label
from local.settings import StackSettings
from local.stack import Stack


class Platform(Protocol):
    """`place`: its folder. `victims`: a dedup and a sink worker, as `kill` knows them. `lead`: how `hourmark` finds what it left behind."""

    place: Path
    lake: Path
    starts: str
    watched: str
    logs: str
    lead: str
    victims: tuple[str, str]

    def up(self) -> Addresses:
        """Ready to take events when this returns."""
        ...

    def kill(self, worker: str) -> int:
        """`kill -9`; its pid. It comes back by itself."""
        ...

    def down(self) -> None: ...


class Native:
    """The stack of this machine's own processes."""

    victims = ("dedup-1", "sinks-1")

    def __init__(self, hour_seconds: int) -> None:
        """Empties the demo's own home. A stack left over from an interrupted demo is stopped first; other homes are not touched."""
        self.place = home() / "demo"
        settings = StackSettings(home=self.place, hour_seconds=hour_seconds, dedup_workers=2, sink_workers=2)
        self._stack = Stack(settings)
        if self.place.exists():
            self._stack.down()
            shutil.rmtree(self.place)
        self.lake = self.place / "lake"
        self.starts = f"Kafka, Valkey, registry, receiver, 2 dedup workers, 2 sink workers in {self.place}"
        self.watched = f"`HOURMARK_HOME={self.place} hourmark status`"
        self.logs = str(self.place / "logs")
        self.lead = f"HOURMARK_HOME={_quoted(self.place)} hourmark"

    def up(self) -> Addresses:
        self._stack.up(bound=True)
        status = self._stack.status()
        return Addresses(
            receiver=status.receiver,
            registry=status.registry,
            kafka=status.kafka,
            lake=self.lake.as_uri(),
            write_key=status.write_key,
            hour_seconds=status.hour_seconds,
            hour_anchor=status.hour_anchor,
        )

    def kill(self, worker: str) -> int:
        pid = next((process.pid for process in self._stack.status().processes if process.name == worker), None)
        self._stack.kill(worker)
        return pid or 0

    def down(self) -> None:
        self._stack.down()


class Containers:
    """A project of docker/compose.yaml of its own, whose lake is a folder here."""

    victims = ("hourmark-demo-dedup-1", "hourmark-demo-sink-1")

    def __init__(self, hour_seconds: int) -> None:
        """Empties the demo's own folder; what an interrupted demo left is taken away first. Raises Unreachable without docker, or while
        another such demo runs."""
        self.place = home() / "compose-demo"
        self._alone = only_one("hourmark-demo")
        self.lake = self.place / "lake"
        anchor = label(int(time.time()) // 3600)
        self._project = Project("hourmark-demo", self.lake, time_lapse(hour_seconds, anchor))
        self._project.down()
        if self.place.exists():
            shutil.rmtree(self.place)
        self.starts = "all containers of docker/compose.yaml, 2 receivers, 2 dedup workers, 2 sink workers"
        self.watched = "`docker compose -p hourmark-demo ps`"
        self.logs = "docker compose -p hourmark-demo logs"
        where = {"HOURMARK_LAKE_URL": self.lake.as_uri(), "HOURMARK_HOUR_SECONDS": str(hour_seconds), "HOURMARK_HOUR_ANCHOR": anchor}
        self.lead = " ".join(f"{name}={shlex.quote(value)}" for name, value in where.items()) + " hourmark"

    def up(self) -> Addresses:
        self._project.prepare()
        self._project.up("--build", scale={"dedup": 2, "sink": 2})
        return self._project.addresses()

    def kill(self, worker: str) -> int:
        return self._project.kill(worker)

    def down(self) -> None:
        self._project.down()


def _quoted(place: Path) -> str:
    return shlex.quote(str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place))
