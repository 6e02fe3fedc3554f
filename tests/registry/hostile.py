"""A client that sends what it is told, byte by byte, and a registry for it: real HTTP, a store of its own, and a Kafka that is nowhere."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from registry.app import Registry
from registry.catalog import draft
from registry.database import Database
from registry.declaration import read
from registry.history import Byline
from registry.provision import Provisioned
from registry.store import Store
from tests.registry.documents import declaration
from tests.registry.service import settings_for

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
EVENT = "/v1/events/a.b"
KNOWN = "/v1/events/known.type"
SQL = "'; DROP TABLE events; --"


class Said(NamedTuple):
    status: int
    body: Any
    headers: Any


class Hostile:
    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Said:
        """A body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = JSON if body is not None and "Content-Type" not in (headers or {}) else {}
        try:
            connection.request(method, path, sent, kind | (headers or {}))
            answer = connection.getresponse()
            found = answer.read()
            return Said(answer.status, json.loads(found) if found else None, answer.headers)
        finally:
            connection.close()

    def raw(self, request: bytes) -> tuple[int, Any]:
        """Bytes that no client would send; the status and the body."""
        host, _, port = self.host.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, json.loads(answer.read())

    def refused(self, said: Said, status: int, code: str, where: str) -> None:
        """Is this a clear answer: status, code, where it is wrong, and what to do?"""
        assert (said.status, said.body.get("code")) == (status, code), said.body
        assert said.headers["Content-Type"].startswith("application/json")
        assert said.body["message"]
        problems = said.body["problems"]
        assert where in [problem["path"] for problem in problems], problems
        assert all(problem["rule"] and problem["message"] and problem["fix"] for problem in problems), problems


@contextmanager
def serving(home: Path) -> Iterator[Hostile]:
    """`known.type` and `known.other` are declared, `known.blocked` is blocked. Reads work; a write that is not refused ends in 503."""
    settings = settings_for("127.0.0.1:1", home)
    database = Database(settings.database)
    database.migrate()
    lives = {"known.type": "active", "known.other": "active", "known.blocked": "blocked"}
    for name, life in lives.items():
        Store(database).commit(draft(read(declaration(name, lifecycle=life)), None, Provisioned(2, False), Byline("me")))
    database.close()
    loop, over, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with Registry(settings) as registry:
            urls.append(registry.url)
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(60)
    yield Hostile(urls[0])
    loop.call_soon_threadsafe(over.set)
    thread.join(60)
    loop.close()


def path_of(name: str) -> str:
    return f"/v1/events/{quote(name, safe='')}"
