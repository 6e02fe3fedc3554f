"""A proxy between a lake's client and its store that behaves as networks, overloaded stores and careless gateways do.

`faults` is asked once per request and says what becomes of it; a seeded one makes a run repeatable as far as threads allow. It also
understands the names of Google's XML interface, which no emulator we know of serves, and asks the S3 server behind it in S3's.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

_S3_NAMES = {"x-goog-copy-source": "x-amz-copy-source"}  # Google's XML interface is S3's, with names of its own
_SOMEBODY = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
CODES = {"403": "AccessDenied", "409": "ConditionalRequestConflict", "501": "NotImplemented", "503": "SlowDown"}

Faults = Callable[[web.Request], str]


def none(_request: web.Request) -> str:
    return ""


def seeded(seed: int, share: float, kinds: tuple[str, ...]) -> Faults:
    """One of `kinds` for this share of all requests."""
    rng = random.Random(seed)
    return lambda _request: rng.choice(kinds) if rng.random() < share else ""


class FaultyStore:
    """`seen`: how often each fault was made. Kinds:

    lost: the request is carried out, the connection dies before the reply · done_500: carried out, answered 500 · 500, 503: not carried
    out · cut: the connection dies first · slow: carried out, answered late · 403, 409, 501: not carried out
    overwrite: conditions are dropped, as some gateways do · look_first: the condition is checked by a look, then the object is written
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.url = ""
        self.faults: Faults = none
        self.seen: Counter[str] = Counter()
        self.slow_s = 0.5

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind = self.faults(request)
        if kind:
            self.seen[kind] += 1
        if kind == "cut":
            return self._cut(request)
        if kind in ("500", "501", "503", "403", "409"):
            await request.read()
            return web.Response(status=int(kind), text=f"<Error><Code>{CODES.get(kind, 'InternalError')}</Code></Error>")
        headers = {_S3_NAMES.get(name.lower(), name): value for name, value in request.headers.items() if name != "Host"}
        if request.headers.get("x-goog-if-generation-match") == "0":
            headers["If-None-Match"] = "*"
        condition = headers.get("If-None-Match")
        if kind in ("overwrite", "look_first"):
            headers.pop("If-None-Match", None)
        # the server behind has no conditional copy in one request
        copied_by_google = condition and "x-goog-copy-source" in request.headers
        if copied_by_google or (kind == "look_first" and condition and request.method == "PUT"):
            async with self._client.head(self._target(request), headers=_SOMEBODY) as found:
                if found.status == 200:
                    return web.Response(status=412)
            await asyncio.sleep(self.slow_s if kind else 0)
        reply = await self._forward(request, headers)
        if kind == "slow":
            await asyncio.sleep(self.slow_s)
        if kind == "lost":
            return self._cut(request)
        return web.Response(status=500) if kind == "done_500" else reply

    async def _forward(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        body = await request.read()
        async with self._client.request(request.method, self._target(request), headers=headers, data=body, allow_redirects=False) as reply:
            found = await reply.read()
            kept = {n: v for n, v in reply.headers.items() if n.lower() not in ("transfer-encoding", "connection", "content-encoding")}
            if request.method != "HEAD":
                kept.pop("Content-Length", None)
            return web.Response(status=reply.status, body=found, headers=kept)

    def _target(self, request: web.Request) -> URL:
        return URL(self.behind + request.raw_path, encoded=True)

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with ClientSession(connector=TCPConnector(force_close=True), auto_decompress=False) as self._client:
            ready.set()
            await stop.wait()
            await runner.cleanup()


@contextmanager
def faulty_store(behind: str) -> Iterator[FaultyStore]:
    """A proxy in front of the store at this URL, without faults until told otherwise."""
    proxy, ready = FaultyStore(behind), threading.Event()
    loop: Any = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(proxy._serve(ready, stop)), name="faulty-store", daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
