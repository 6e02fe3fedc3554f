"""A registry as a process of its own, to be killed: `with RegistryProcess(...) as registry: registry.url`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from hourmark.crashpoints import FAULTS
from local.ports import HOST, free_port
from local.server import bound_to_parent, spawn


class Answer(NamedTuple):
    """`status` 0: the connection was cut."""

    status: int
    body: Any


class RegistryProcess:
    """One registry, on a port that it keeps. `database`: URL of its store, empty: a file in `home`. `faults`: see hourmark.crashpoints."""

    def __init__(self, kafka: str, home: Path, database: str = "", faults: Path | None = None) -> None:
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        self._log = home / f"registry-{port}.log"
        home.mkdir(parents=True, exist_ok=True)
        self._environ = {
            **os.environ,
            "HOURMARK_KAFKA": kafka,
            "HOURMARK_HOME": str(home),
            "HOURMARK_PROFILE": "local",
            "HOURMARK_REGISTRY_LISTEN": f"{HOST}:{port}",
            "HOURMARK_REGISTRY_DATABASE_URL": database,
            FAULTS: str(faults) if faults else "",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RegistryProcess:
        if self._process is None:
            self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(30)

    def start(self, *, ready: bool = True) -> None:
        with self._log.open("ab") as log:
            self._process = spawn(bound_to_parent([sys.executable, "-m", "registry"]), env=self._environ, stdout=log, stderr=log)
        if ready:
            self.ready()

    def ready(self) -> None:
        deadline = time.monotonic() + 60
        while self.ask("GET", "/readyz").status != 200:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.died()

    def died(self) -> None:
        """Returns when the process is gone by SIGKILL, ours or its own."""
        assert self._process is not None
        assert self._process.wait(60) == -signal.SIGKILL, self._log.read_text()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer; of an answer in lines the list of them."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                lines = answer.headers.get_content_type() == "application/x-ndjson"
                return Answer(answer.status, [json.loads(line) for line in answer] if lines else json.load(answer))
        except urllib.error.HTTPError as exc:
            return Answer(exc.code, json.load(exc))
        except OSError:
            return Answer(0, None)
