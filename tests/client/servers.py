"""A receiver and a registry for tests, in a thread: scripted to misbehave, then behaving."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes] | None
Behaviour = Callable[[Body], Reply]


def stored(body: Body) -> Reply:
    return results({event["id"]: {"verdict": "stored", "partition": 1, "offset": n} for n, event in enumerate(body["events"])})


def results(verdicts: dict[str, Any]) -> Reply:
    return 200, {}, json.dumps({"results": verdicts}).encode()


def status(code: int, error: str | None = None, **headers: str) -> Behaviour:
    """Answers with this status; `error` is the code of the receiver's error body (None: a proxy's page)."""
    body = json.dumps({"code": error, "message": f"said {error}"}).encode() if error else b"<html>proxy</html>"
    return lambda _: (code, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def text(body: bytes) -> Behaviour:
    return lambda _: (200, {}, body)


def hang_up(_: Body) -> Reply:
    """Reads the request and closes the connection without a word: the reply is lost."""
    return None


def slow(seconds: float) -> Behaviour:
    def late(body: Body) -> Reply:
        time.sleep(seconds)
        return stored(body)

    return late


def events_as(verdict: str, **more: Any) -> Behaviour:
    return lambda body: results({event["id"]: {"verdict": verdict, **more} for event in body["events"]})


class ScriptedReceiver:
    """Each request takes the next behaviour of `script`, then `then` for ever. `bodies`, `headers`, `times` record what came."""

    def __init__(self, *script: Behaviour, then: Behaviour = stored) -> None:
        self.script = list(script)
        self.then = then
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers["Content-Length"]))
        encoding = handler.headers.get("Content-Encoding")
        if encoding == "gzip":
            raw = zlib.decompress(raw, 31)
        elif encoding == "zstd":
            import zstandard

            raw = zstandard.ZstdDecompressor().decompress(raw)
        body = json.loads(raw)
        with self.lock:
            self.bodies.append(body)
            self.headers.append(dict(handler.headers.items()))
            self.times.append(time.monotonic())
            behaviour = self.script.pop(0) if self.script else self.then
        reply = behaviour(body)
        if reply is None:
            handler.close_connection = True
            handler.connection.close()
            return
        send(handler, *reply)

    def attempts(self) -> dict[str, list[int]]:
        """By event id: the attempts that came, in order."""
        seen: dict[str, list[int]] = {}
        for body in self.bodies:
            for event in body["events"]:
                seen.setdefault(event["id"], []).append(event["attempt"])
        return seen


class ScriptedRegistry:
    """Answers `GET /v1/events/{type}` and `GET /schemas/ids/{id}` from what was declared. `down`: answers 503."""

    def __init__(self) -> None:
        self.types: dict[str, Body] = {}
        self.asked: list[str] = []
        self.down = False
        self.url = ""

    def declare(self, event: str, schema_id: int, wire_schema: Body, **more: Any) -> None:
        declaration = {"event": event, "key": None, "sdks": ["*"], "lifecycle": "active", **more}
        revision = self.types[event]["revision"] + 1 if event in self.types else 1
        self.types[event] = {
            "event": event,
            "revision": revision,
            "declaration": declaration,
            "schema_id": schema_id,
            "schema_version": 1,
            "partitions": declaration.pop("partitions", 2),
            "source": 1,
            "wire_schema": wire_schema,
        }

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        if self.down:
            send(handler, 503, {}, b"{}")
            return
        *_, last = handler.path.split("/")
        if handler.path.startswith("/schemas/ids/"):
            found = next((t["wire_schema"] for t in self.types.values() if t["schema_id"] == int(last)), None)
            send(handler, 200 if found else 404, {}, json.dumps({"schema": json.dumps(found)}).encode())
        elif last not in self.types:
            send(handler, 404, {}, b'{"code":"unknown_event_type","message":"no"}')
        elif handler.headers.get("If-None-Match") == (etag := f'"{self.types[last]["revision"]}"'):
            send(handler, 304, {"ETag": etag}, b"")
        else:
            send(handler, 200, {"ETag": etag}, json.dumps(self.types[last]).encode())


def send(handler: BaseHTTPRequestHandler, code: int, headers: dict[str, str], body: bytes) -> None:
    if code in (204, 304):
        body = b""  # such answers have none, and one would be read as the start of the next
    handler.send_response(code)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(answerer: ScriptedReceiver | ScriptedRegistry) -> Iterator[str]:
    """Serve on a free port; sets and yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            answerer.answer(self)

        do_GET = do_POST

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    answerer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield answerer.url
    finally:
        server.shutdown()
        server.server_close()
