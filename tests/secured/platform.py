"""The whole platform on a broker that trusts nobody: each room is a process with a user of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hourmark.hours import Hours, label, parse_label
from hourmark_client import Client
from local.ports import HOST, free_port
from local.programs import SESSIONS, service_command
from local.server import bound_to_parent, spawn
from tests.e2e.platform import PATIENCE_S, Platform, until
from tests.secured.broker import SecuredKafka

MODULES = {"registry": "registry", "receiver": "receiver", "dedup": "streams", "sink": "sinks"}
HOUR_SECONDS = 5
START_S = 240.0  # of a process, where everything else starts as well


class SecuredPlatform(Platform):
    """`start` a room, or several processes of one (`sink-2`), as the user `hourmark-ROOM`. Use as a context: at its end none is left."""

    def __init__(self, home: Path, broker: SecuredKafka, redis_url: str) -> None:
        self.home, self.broker = home, broker
        home.mkdir(parents=True, exist_ok=True)
        self.kafka, self.write_key, self.lake = broker.bootstrap, "secured-write-key", home / "lake"
        self.anchor = label(int(time.time() // 3600))
        self.hours = Hours(HOUR_SECONDS, parse_label(self.anchor))
        self._redis = redis_url
        self._ports: dict[str, int] = {}
        self.receiver, self.registry = (f"http://{HOST}:{self._port(room)}" for room in ("receiver", "registry"))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> SecuredPlatform:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, options: Mapping[str, Any] | None = None, **more: str) -> None:
        """`options`: other ones for Kafka than the room's own."""
        room = name.split("-")[0]
        file = self.home / f"{name}.options.json"
        file.write_text(json.dumps(options if options is not None else self.broker.options(f"hourmark-{room}")))
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HOURMARK_")}
        environ = clean | self.settings(file) | self._own(name, room) | more
        with self.log(name).open("ab") as log:
            command = bound_to_parent(service_command(MODULES[room]))
            self._running[name] = spawn(command, env=environ, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def settings(self, options: Path) -> dict[str, str]:
        """What every process is told, the command line too."""
        return {
            "HOURMARK_KAFKA": self.kafka,
            "HOURMARK_KAFKA_OPTIONS_FILE": str(options),
            "HOURMARK_REGISTRY_URL": self.registry,
            "HOURMARK_REDIS_URL": self._redis,
            "HOURMARK_LAKE_URL": self.lake.as_uri(),
            "HOURMARK_HOUR_SECONDS": str(HOUR_SECONDS),
            "HOURMARK_HOUR_ANCHOR": self.anchor,
            "HOURMARK_PROFILE": "local",
            "HOURMARK_CLIENT_RECEIVER_URL": self.receiver,
            "HOURMARK_CLIENT_WRITE_KEY": self.write_key,
        }

    def _own(self, name: str, room: str) -> dict[str, str]:
        return {
            **SESSIONS,
            "HOURMARK_HOME": str(self.home / name),
            "HOURMARK_NODE": name,
            "HOURMARK_METRICS_LISTEN": f"{HOST}:{self._port(f'metrics-{name}')}",
            "PYTHONUNBUFFERED": "1",
        } | (
            {"HOURMARK_RECEIVER_LISTEN": f"{HOST}:{self._port('receiver')}"}
            if room == "receiver"
            else {"HOURMARK_REGISTRY_LISTEN": f"{HOST}:{self._port('registry')}", "HOURMARK_REGISTRY_LOCAL_WRITE_KEY": self.write_key}
            if room == "registry"
            else {}
        )

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM, and its exit code."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(30.0)

    def ended(self, name: str) -> int | None:
        """Exit code of what ended by itself."""
        return self._running[name].poll()

    def not_ready(self, name: str) -> str:
        """What /readyz says; empty when it is ready."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port(f'metrics-{name}')}/readyz", timeout=5.0):
                return ""
        except urllib.error.HTTPError as exc:
            return exc.read().decode()
        except OSError as exc:
            return f"no answer: {exc}"

    def ready(self, *names: str) -> None:
        for name in names:
            until(f"{name} to be ready; {self.log(name)} says why not", lambda name=name: not self.not_ready(name), START_S)  # type: ignore[misc]

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def said(self, name: str) -> list[dict[str, Any]]:
        """Lines of its log; what is no JSON under `raw`."""
        found = []
        for line in self.log(name).read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"raw": line})
        return found

    @contextmanager
    def inside(self, user: str = "hourmark-producer") -> Iterator[Client]:
        options = self.broker.options(user)
        with Client.kafka(self.kafka, registry=self.registry, app="e2e", block_timeout=PATIENCE_S, options=options) as client:
            yield client

    def _port(self, purpose: str) -> int:
        if purpose not in self._ports:
            self._ports[purpose] = free_port(self._ports.values())
        return self._ports[purpose]
