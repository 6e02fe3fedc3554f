"""The running platform as a test sees it: declare, send, wait for seals, count by id."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from cli.catalogue import Catalogue
from cli.demo import balance
from cli.demo.ledger import Ledger
from cli.hour_rows import hour_of, manifest_of
from cli.sealed import sealed_files, sealed_folders
from hourmark.hours import Hours, parse_label
from hourmark_client import Client
from local.stack import Stack

PATIENCE_S = 90.0
SCHEMA = {
    "type": "record",
    "name": "Counted",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": ["null", "string"], "default": None}],
}


def until(what: str, found: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Wait for a condition; its value. Fails in words after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for: {what}")


class Platform:
    """Addresses and the few things every situation needs."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        status = stack.status()
        self.receiver, self.registry, self.kafka, self.write_key = status.receiver, status.registry, status.kafka, status.write_key
        self.lake = Path(status.lake)
        self.hours = Hours(status.hour_seconds, parse_label(status.hour_anchor))

    def declare(self, name: str = "counted", **more: Any) -> str:
        """A new event type of the test's own, live on every node."""
        event_type = f"t{uuid.uuid4().hex[:8]}.{name}"
        declaration = {"event": event_type, "owner": "tests", "tier": "debug", "schema": SCHEMA, **more}
        answer = Catalogue(self.registry).declare(event_type, declaration, wait=60.0)
        assert answer["waited"] == "complete", answer
        return event_type

    @contextmanager
    def http(self, **settings: Any) -> Iterator[Client]:
        with Client.http(self.receiver, write_key=self.write_key, app="e2e", block_timeout=PATIENCE_S, **settings) as client:
            yield client

    @contextmanager
    def inside(self) -> Iterator[Client]:
        """The client library's Kafka transport."""
        with Client.kafka(self.kafka, registry=self.registry, app="e2e", block_timeout=PATIENCE_S) as client:
            yield client

    def post(self, body: bytes | dict[str, Any], timeout: float = 60.0) -> tuple[int, dict[str, Any], dict[str, str]]:
        """One plain request to the receiver: status, answer, headers."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.write_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.receiver}/v1/events", data=data, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.load(answer), dict(answer.headers)
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc), dict(exc.headers)

    def hour_now(self) -> int:
        return self.hours.of(int(time.time() * 1000))

    def sealed_up_to(self, event_type: str) -> int:
        """Newest sealed hour, -1 for none."""
        folders = sealed_folders(self.lake, event_type)
        return hour_of(folders[-1]) if folders else -1

    def wait_sealed(self, event_type: str, hour: int | None = None) -> None:
        """Until this hour (the present one by default) is sealed."""
        wanted = self.hour_now() if hour is None else hour
        until(f"hour {wanted} of {event_type} to be sealed", lambda: self.sealed_up_to(event_type) >= wanted)

    def manifests(self, event_type: str) -> list[dict[str, Any]]:
        return [manifest_of(folder) for folder in sealed_folders(self.lake, event_type)]

    def rows(self, event_type: str, columns: str = "_event_id") -> list[tuple[Any, ...]]:
        """These columns of all sealed rows."""
        files = [str(file) for file in sealed_files(self.lake, event_type)]
        return duckdb.read_parquet(files, union_by_name=True, hive_partitioning=False).project(columns).fetchall()

    def assert_exact(self, ledger: Ledger) -> balance.Account:
        """Every acknowledged event is there once, nothing else is, and the audits say so too."""
        self.wait_sealed(ledger.event_type)
        account = balance.strike(self.lake, self.hours, ledger)
        assert account.faults == []
        assert account.rows == len(ledger.acknowledged) > 0
        return account

    def restored(self) -> None:
        """Until every process runs and answers again."""
        until("the whole stack to be ready again", lambda: self.stack.status().ready)


class Load:
    """Sends numbered events of one type at a steady pace until stopped, through the HTTP client. Use as a context."""

    def __init__(self, platform: Platform, event_type: str, per_second: int = 1500) -> None:
        self.ledger = Ledger(event_type)
        self._platform, self._per_second = platform, per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._failure: Exception | None = None

    def __enter__(self) -> Load:
        self._thread.start()
        until("the load to flow", lambda: self.ledger.acknowledged or self._failure)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S * 2)
        assert not self._thread.is_alive()
        assert self._failure is None

    def flows(self, more: int = 500) -> None:
        """Until so many more events have been acknowledged."""
        before = len(self.ledger.acknowledged)
        until(f"{more} more events to be acknowledged", lambda: len(self.ledger.acknowledged) >= before + more)

    def _send(self) -> None:
        try:
            with self._platform.http() as client:
                while not self._ended.wait(0.1):
                    for _ in range(self._per_second // 10):
                        self.ledger.sent += 1
                        client.send(self.ledger.event_type, {"number": self.ledger.sent, "text": "x" * 40}, on_verdict=self.ledger.original)
                client.close(PATIENCE_S)
        except Exception as exc:  # shown by the test's own thread
            self._failure = exc
