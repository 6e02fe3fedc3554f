"""How long a declaration takes to reach every node, under load, on a native stack of its own: `python -m benchmarks.propagation`.

New event types and changes of known ones in turn. Each is told line by line by the registry, as `hourmark declare --wait` shows it; and
beside what nodes say of themselves, events that only the new revision admits are sent on many connections until every one is stored:
receivers share one port, so that a few connections reach each of them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.trickle import fault, trickle
from cli.catalogue import Catalogue
from local.settings import StackSettings
from local.stack import Stack

RECEIVERS = 3
CONNECTIONS = 16  # one of three receivers is missed by all of them once in 650 declarations
WAIT_S = 30.0
EVERY_S = 0.05
HOUR_SECONDS = 600
STAGES = ("topics", "stored", "published", "receiver", "accepted", "dedup", "sink")


def main(declarations: int = 200, rate: int = 2_000, tell: Callable[[str], None] = lambda _line: None) -> dict[str, Any]:
    """Milliseconds by kind of declaration and stage: p50, p99, max. `topics`, `stored`, `published` by themselves, the others from the
    request on. `late`: declarations that were not everywhere after 30 s."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-propagation-"))
    stack = Stack(StackSettings(home=home, hour_seconds=HOUR_SECONDS, receivers=RECEIVERS, kafka_heap_mb=1024))
    try:
        stack.up(bound=True)
        status = stack.status()
        run = Run(status.registry, status.receiver, status.write_key)
        run.await_nodes()
        with run.load(rate) as sent:
            for number in range(declarations):
                run.declare(number)
                if number % 20 == 19:
                    tell(f"{number + 1} of {declarations} declarations")
        shape = {"declarations": declarations, "rate": rate, "receivers": RECEIVERS}
        return {"stage": "propagation", "shape": shape, "sent": sum(sent), "late": run.late, **run.figures()}
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


class Run:
    """One stack under measurement. Even numbers declare a new event type, odd ones add a field to the one before."""

    def __init__(self, registry: str, receiver: str, key: str) -> None:
        self.late = 0
        self._catalogue, self._receiver, self._key = Catalogue(registry), urlsplit(receiver).netloc, key
        self._stem = f"spread{secrets.token_hex(2)}"
        self._took: dict[str, list[dict[str, float]]] = {"new": [], "changed": []}

    def await_nodes(self) -> None:
        """Until the registry has heard of nodes of every room."""
        deadline, rooms = time.monotonic() + WAIT_S * 2, set[str]()
        while not rooms >= {"receiver", "streams", "sinks"}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"only these rooms have live nodes: {', '.join(rooms)}")
            time.sleep(0.2)
            rooms = {node["room"] for node in self._catalogue.ask("GET", "/v1/nodes")["nodes"] if node["live"]}

    def declare(self, number: int) -> None:
        """Declare one and wait until it is everywhere."""
        name, changes = f"{self._stem}.t{number // 2:04d}", number % 2 == 1
        field = f"added_{number}" if changes else "number"
        payload = {"number": number} | ({field: "there"} if changes else {})
        started, took = time.monotonic(), dict[str, float]()
        published = threading.Event()

        def told(stage: dict[str, Any]) -> None:
            took[stage["stage"]] = stage["ms"]
            if stage["stage"] == "published":
                published.set()

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            probes = [pool.submit(self._accepted, published, name, payload) for _ in range(CONNECTIONS)]
            answer = self._catalogue.declare_aloud(name, _document(name, field), WAIT_S, told)
            published.set()
            took["accepted"] = (max(probe.result() for probe in probes) - started) * 1000
        self.late += answer["waited"] != "complete"
        self._took["changed" if changes else "new"].append(took)

    def figures(self) -> dict[str, Any]:
        """Kind → stage → p50, p99, max."""
        return {
            kind: {stage: _spread([one[stage] for one in all_ if stage in one]) for stage in STAGES} for kind, all_ in self._took.items()
        }

    def _accepted(self, published: threading.Event, name: str, payload: dict[str, Any]) -> float:
        """Send an event until it is stored; when that was."""
        connection = http.client.HTTPConnection(self._receiver, timeout=30)
        connection.connect()  # before: the receiver on the other end is chosen now
        published.wait(WAIT_S)
        deadline = time.monotonic() + WAIT_S
        while fault(connection, self._key, [_event(name, payload)]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}: a receiver did not accept it within {WAIT_S:.0f} s")
            time.sleep(0.005)
        connection.close()
        return time.monotonic()

    def load(self, rate: int) -> AbstractContextManager[list[int]]:
        """Events of another type at this rate, in the background. Raises RuntimeError at the end when some were not stored."""
        name = f"{self._stem}.load"
        self._catalogue.declare(name, _document(name, "number"), WAIT_S)
        return trickle(self._receiver, self._key, rate, lambda number: _event(name, {"number": number}), EVERY_S)


def _event(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, "id": str(uuid.uuid4()), "time": "2026-03-01T06:59:58Z", "payload": payload}


def _document(name: str, field: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"name": "number", "type": "long"}]
    if field != "number":
        fields.append({"name": field, "type": ["null", "string"], "default": None})
    return {"event": name, "owner": "bench", "tier": "debug", "schema": {"type": "record", "name": "Spread", "fields": fields}}


def _spread(values: list[float]) -> dict[str, float] | None:
    """None without values."""
    if not values:
        return None
    found = sorted(values)
    return {"p50_ms": found[len(found) // 2], "p99_ms": found[min(len(found) - 1, len(found) * 99 // 100)], "max_ms": found[-1]}


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--declarations", type=int, default=200)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second of another type")
    json.dump(main(**vars(parser.parse_args()), tell=lambda line: print(line, file=sys.stderr)), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    _command_line()
