"""A project of `docker/compose.yaml`: its containers, and what an operator does to them.

Promises: stands beside others, also of the same file, with ports and a name of its own; `down` leaves no container, volume or network.
Refuses to work without a checkout and without docker.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from hourmark.settings import PREFIX
from local.ports import HOST, free_port

from .addresses import Addresses
from .failures import Unreachable

FILE = Path(__file__).parents[1] / "docker" / "compose.yaml"
PORTS = ("STACK_PORT", "STACK_REGISTRY_PORT", "STACK_KAFKA_PORT", "STACK_PROMETHEUS_PORT", "STACK_GRAFANA_PORT")
OWN_USER = 10001  # of the image
READY_S = 300
IMAGE = "hourmark:local"
END = "import os, sys; os.kill(int(sys.argv[1]), 9)"


class Container(NamedTuple):
    """`state` and `health` as the engine calls them; `health` empty: it has no check."""

    name: str
    service: str
    state: str
    health: str

    @property
    def fine(self) -> bool:
        return self.state == "running" and self.health in ("", "healthy")


class Project:
    """`lake`: an empty folder of the host that becomes the lake. `settings`: HOURMARK_* for all services. `files`: compose files on top."""

    def __init__(
        self, name: str, lake: Path, settings: Mapping[str, str], stack: Mapping[str, str] | None = None, files: Sequence[Path] = ()
    ) -> None:
        if not FILE.exists():
            raise Unreachable("containers are started from a checkout of hourmark only", where=str(FILE))
        if shutil.which("docker") is None:
            raise Unreachable("there is no docker here", remedy="install Docker Engine with the compose plugin")
        self.name, self.lake = name, lake
        self._files = [word for file in (FILE, *files) for word in ("-f", str(file))]
        ports: list[int] = []
        for _ in PORTS:
            ports.append(free_port(ports))
        self._file = lake.with_name("settings.env")
        self._settings = dict(settings)
        user = str(OWN_USER) if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"  # whose the lake's folder is
        own = {"STACK_LAKE": str(lake), "STACK_USER": user, "STACK_SETTINGS": str(self._file), "STACK_IMAGE": IMAGE}
        own |= {variable: str(port) for variable, port in zip(PORTS, ports, strict=True)}
        foreign = (PREFIX, "STACK_", "COMPOSE_")
        self._environ = {n: v for n, v in os.environ.items() if not n.startswith(foreign)} | own | self._settings | dict(stack or {})

    def prepare(self) -> None:
        """The folder of the lake, and the file of settings."""
        self.lake.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.lake, OWN_USER, OWN_USER)
        self._file.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))

    def up(self, *more: str, scale: Mapping[str, int] | None = None, **stack: str) -> None:
        """Everything healthy when this returns; `more`: options and services. `stack`: STACK_* from now on."""
        self._environ |= stack
        counts = [word for service, count in (scale or {}).items() for word in ("--scale", f"{service}={count}")]
        self.compose("up", "-d", "--wait", "--wait-timeout", str(READY_S), *counts, *more, timeout=READY_S + 900)

    def down(self) -> None:
        """Containers, volumes and networks."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", timeout=300)

    def containers(self) -> list[Container]:
        """All of the project, also stopped ones."""
        said = self.compose("ps", "--all", "--format", "json")
        found: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines() if line.strip()]
        return sorted(Container(c["Name"], c["Service"], c["State"], c.get("Health", "")) for c in found)

    def kill(self, container: str) -> int:
        """SIGKILL from outside, as the kernel does it when memory is short; its pid. After `docker kill` it would stay down."""
        pid = int(self.docker("inspect", "--format", "{{.State.Pid}}", container).strip())
        if pid:
            apart = ("run", "--rm", "--pid", "host", "--user", "0", "--network", "none", "--cap-drop", "ALL", "--cap-add", "KILL")
            self.docker(*apart, self._environ["STACK_IMAGE"], "python", "-c", END, str(pid))
        return pid

    def secret(self, name: str) -> str:
        """One of those made at the first start."""
        return self.compose("exec", "-T", "registry", "cat", f"/run/hourmark/{name}").strip()

    def addresses(self) -> Addresses:
        """Where it is for programs on this machine."""
        receiver, registry, kafka = (f"{HOST}:{self._environ[name]}" for name in PORTS[:3])
        return Addresses(
            receiver=f"http://{receiver}",
            registry=f"http://{registry}",
            kafka=kafka,
            lake=self.lake.as_uri(),
            write_key=self.secret("write_key"),
            admin_token=self.secret("admin_token"),
            hour_seconds=int(self._settings.get("HOURMARK_HOUR_SECONDS", 3600)),
            hour_anchor=self._settings.get("HOURMARK_HOUR_ANCHOR", ""),
            origin=self.name,
        )

    def volumes(self) -> set[str]:
        """Of its containers, also those that bear no name."""
        names = [container.name for container in self.containers()]
        asked = '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}'
        return set(self.docker("inspect", "--format", asked, *names).split()) if names else set()

    def left(self, volumes: set[str]) -> list[str]:
        """Containers, volumes and networks that bear the project's name, and those of `volumes` that are there: none after `down`."""
        label = f"label=com.docker.compose.project={self.name}"
        asked = (("ps", "--all", "--format", "{{.Names}}"), ("volume", "ls", "--quiet"), ("network", "ls", "--format", "{{.Name}}"))
        named = {line for words in asked for line in self.docker(*words, "--filter", label).splitlines() if line}
        return sorted(named | volumes & set(self.docker("volume", "ls", "--quiet").split()))

    @property
    def command(self) -> list[str]:
        """How compose is called for it, with the variables of `environ`."""
        return ["docker", "compose", "-p", self.name, *self._files, "--env-file", os.devnull]

    @property
    def environ(self) -> Mapping[str, str]:
        """STACK_* and HOURMARK_* that its compose file asks for, and the rest of the process's own that concern nothing here."""
        return self._environ

    def compose(self, *words: str, timeout: float = 120.0) -> str:
        """What `docker compose WORDS` says. Raises Unreachable with its last words."""
        return self.docker(*self.command[1:], *words, timeout=timeout)

    def docker(self, *words: str, timeout: float = 120.0) -> str:
        """What `docker WORDS` says. Raises Unreachable with its last words."""
        try:
            ran = subprocess.run(["docker", *words], env=self._environ, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as exc:
            raise Unreachable(f"no end after {timeout:.0f} s", where=f"docker {' '.join(words)}") from exc
        if ran.returncode != 0:
            raise Unreachable("\n".join(ran.stderr.strip().splitlines()[-12:]), where=f"docker {' '.join(words)}")
        return ran.stdout


def only_one(name: str) -> TextIO:
    """Held by this process until it ends: projects have one name on the whole machine. Raises Unreachable when another one holds it."""
    file = (Path(tempfile.gettempdir()) / f"{name}-{os.geteuid()}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise Unreachable(f"another process works with the containers of {name}", where=file.name, remedy="wait for its end") from exc
    return file


def time_lapse(hour_seconds: int, anchor: str) -> dict[str, str]:
    """Settings of a platform whose hours are short, on one machine: a killed worker's partitions do not wait longer than it is away."""
    from local.programs import SESSIONS

    return {"HOURMARK_PROFILE": "local", "HOURMARK_HOUR_SECONDS": str(hour_seconds), "HOURMARK_HOUR_ANCHOR": anchor, **SESSIONS}
