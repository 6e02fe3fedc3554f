"""The stack that the drills are made on: hours of 20 s, a lake on a small volume, steady load of which every event is remembered."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from cli.catalogue import Catalogue
from cli.demo.ledger import Ledger
from hourmark.crashpoints import FAULTS
from hourmark_client import Client
from local import remembered
from local.settings import StackSettings
from local.stack import Stack
from tests.e2e.platform import SCHEMA, Platform

HOUR_SECONDS = 20
PER_SECOND = 40  # of each event type
PATIENT_S = 900.0
# `drill.held` is sealed only when its books balance; `drill.quiet` is the one whose senders stop
TYPES: dict[str, dict[str, Any]] = {
    "drill.critical": {"tier": "critical"},
    "drill.standard": {"tier": "standard"},
    "drill.debug": {"tier": "debug"},
    "drill.held": {"tier": "debug", "audit": "hold"},
    "drill.quiet": {"tier": "debug"},
}


class Sender(threading.Thread):
    """Sends every type at a steady pace. `silent`: types that pause; `spoilt`: types of which events that do not fit are sent too."""

    def __init__(self, client: Client, ledgers: dict[str, Ledger]) -> None:
        super().__init__(name="drill-load", daemon=True)
        self.silent: set[str] = set()
        self.spoilt: set[str] = set()
        self.refused = Ledger("(spoilt)")
        self.failure: Exception | None = None
        self._client, self._ledgers, self._ended = client, ledgers, threading.Event()

    def finish(self) -> None:
        """Returns when every event has its verdict. Raises what ended it early, or Undelivered."""
        self._ended.set()
        self.join(PATIENT_S)
        self._client.close(PATIENT_S)
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            while not self._ended.wait(0.2):
                for name, ledger in list(self._ledgers.items()):
                    if name not in self.silent:
                        self._send(name, ledger)
        except Exception as exc:  # raised again by `finish`
            self.failure = exc

    def _send(self, name: str, ledger: Ledger) -> None:
        for _ in range(PER_SECOND // 5):
            ledger.sent += 1
            self._client.send(name, {"number": ledger.sent, "text": "x" * 40}, on_verdict=ledger.original)
            if name in self.spoilt:
                self.refused.sent += 1
                self._client.send(name, {"number": "none", "text": "spoilt"}, on_verdict=self.refused.original)


class Ground:
    """`forced`: hours that were sealed by hand, (type, label); `lost`: ids whose loss was a drill's point; `small`: lake and Kafka have
    small volumes of their own."""

    def __init__(self, home: Path, *, small: bool) -> None:
        self.home, self.faults, self.small = home, home / "faults", small
        (self.faults / "slow").mkdir(parents=True, exist_ok=True)
        settings = StackSettings(
            home=home, hour_seconds=HOUR_SECONDS, receivers=2, dedup_workers=2, sink_workers=2, canary=True, start_seconds=300.0
        )
        self.stack = Stack(settings, environ={**os.environ, FAULTS: str(self.faults)})
        self.ledgers = {name: Ledger(name) for name in TYPES}
        self.forced: set[tuple[str, str]] = set()
        self.lost: dict[str, set[str]] = {}

    def up(self) -> None:
        """The stack is ready, the types are live, the load flows."""
        self.stack.up(bound=True)
        self.platform = Platform(self.stack)
        memory = remembered.read(self.home)
        assert memory is not None
        self.memory = memory
        for name in TYPES:
            self.declare(name)
        logging.getLogger("hourmark_client").setLevel(logging.CRITICAL)  # its warnings are what drills are for
        client = Client.http(self.platform.receiver, write_key=self.platform.write_key, app="drill", block_timeout=PATIENT_S)
        self.load = Sender(client, dict(self.ledgers))
        self.load.start()

    def declare(self, name: str, description: str = "For drills") -> None:
        more = {"owner": "drill", "tier": "debug", "description": description, "schema": SCHEMA, **TYPES.get(name, {})}
        Catalogue(self.platform.registry, timeout=PATIENT_S).declare(name, {"event": name, **more}, wait=60.0)

    def pages(self) -> dict[str, list[str]]:
        """Where Prometheus finds the metrics of each service."""
        pages: dict[str, list[str]] = {"registry": [self.address("registry")]}
        for purpose, port in self.memory.ports.items():
            name = purpose.removeprefix("metrics-")
            if name != purpose and name != "registry":
                pages.setdefault(name.rpartition("-")[0], []).append(f"127.0.0.1:{port}")
        return pages

    def address(self, process: str) -> str:
        """Of a process's metrics page."""
        return f"127.0.0.1:{self.memory.ports[process if process == 'registry' else f'metrics-{process}']}"

    def freeze(self, process: str) -> Callable[[], None]:
        """SIGSTOP; the answer thaws it."""
        self.stack.signal(process, signal.SIGSTOP)
        return lambda: self.stack.signal(process, signal.SIGCONT)

    def stop_all(self, *processes: str) -> Callable[[], None]:
        """Stops them in order; the answer starts them."""
        for process in processes:
            self.stack.ask_to_stop(process)
        for process in processes:
            self.stack.stop(process)

        def start() -> None:
            for process in processes:
                self.stack.start(process)

        return start

    def slow(self, step: str, seconds: float) -> Callable[[], None]:
        """Processes wait so long at this step (hourmark/crashpoints.py); the answer ends it."""
        file = self.faults / "slow" / step
        file.write_text(str(seconds))
        return lambda: file.unlink(missing_ok=True)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`hourmark …`, as an operator of this home runs it."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env={**environ, "HOURMARK_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def index(self, *words: str) -> Any:
        """A command of the id index's server."""
        with redis.from_url(self.memory.redis) as server:
            return server.execute_command(*words)

    def retention(self, topic: str, milliseconds: str | None = None) -> str:
        """What `retention.ms` of a topic is; then it is set, if asked."""
        admin = AdminClient({"bootstrap.servers": self.memory.kafka, "log_level": 0})
        resource = ConfigResource(ResourceType.TOPIC, topic)
        before = str(admin.describe_configs([resource])[resource].result(60)["retention.ms"].value)
        if milliseconds is not None:
            change = ConfigEntry("retention.ms", milliseconds, incremental_operation=AlterConfigOpType.SET)
            altered = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
            admin.incremental_alter_configs([altered])[altered].result(60)
        return before

    def newest_sealed(self, event_type: str) -> int:
        return self.platform.sealed_up_to(event_type)

    def down(self) -> None:
        self.stack.down()
