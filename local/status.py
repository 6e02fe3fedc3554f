"""What `hourmark status` tells: addresses, processes and whether the services say that they are ready."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Any, Final

from hourmark.errors import IndexLost

NOT_READY: Final = "not ready: "


@dataclass(frozen=True)
class ProcessStatus:
    """One supervised process. `state`: running, starting, backoff, stopping, stopped, exited or fatal.

    `ready` None: it has no page to ask. `why`: what it waits for when it is not ready, in its own words.
    """

    name: str
    pid: int | None
    state: str
    ready: bool | None = None
    why: str = ""

    @property
    def stuck(self) -> bool:
        """It will not become ready by itself."""
        return self.why.startswith(IndexLost.code)


@dataclass(frozen=True)
class StackStatus:
    """The stack as it is now. Addresses are where it listens, or would; `processes` is empty when it is not up."""

    up: bool
    receiver: str
    registry: str
    kafka: str
    redis: str
    lake: str
    hour_seconds: int
    hour_anchor: str
    write_key: str
    processes: tuple[ProcessStatus, ...] = ()
    kafka_ready: bool = False
    redis_ready: bool = False
    registry_ready: bool = False
    receiver_ready: bool = False

    @property
    def ready(self) -> bool:
        """Every process runs and every service answers."""
        answers = self.kafka_ready and self.redis_ready and self.registry_ready and self.receiver_ready
        return self.up and answers and all(p.state == "running" and not p.stuck for p in self.processes)

    def as_json(self) -> dict[str, Any]:
        """The shape of `status --json` in the contracts, without `types`."""
        return {
            "receiver": self.receiver,
            "registry": self.registry,
            "kafka": self.kafka,
            "redis": self.redis,
            "lake": self.lake,
            "hour_seconds": self.hour_seconds,
            "write_key": self.write_key,
            "processes": [{"name": p.name, "pid": p.pid, "state": p.state} for p in self.processes],
        }


def says_ok(address: str, path: str, timeout: float = 2.0) -> bool:
    """True when GET on host:port answers 200. Never raises."""
    return asked(address, path, timeout) is True


def asked(address: str, path: str, timeout: float = 2.0) -> bool | None:
    """Whether GET on host:port answers 200; None when nobody listens there. Never raises."""
    return _get(address, path, timeout)[0]


def why_not(address: str, timeout: float = 2.0) -> str:
    """What a service says that it waits for; empty when it is ready or says nothing. Never raises."""
    ready, said = _get(address, "/readyz", timeout)
    return said.strip().removeprefix(NOT_READY) if ready is False and said.startswith(NOT_READY) else ""


def _get(address: str, path: str, timeout: float) -> tuple[bool | None, str]:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == 200, answer.read(2000).decode("utf-8", "replace")
    except ConnectionRefusedError:
        return None, ""
    except (OSError, http.client.HTTPException):
        return False, ""
    finally:
        connection.close()
