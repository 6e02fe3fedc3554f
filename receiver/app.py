"""The receiver as an object: `async with Receiver(settings) as receiver` serves at `receiver.url`. Owns the routes, the start and the stop.

Order of a stop: take no new connection, answer what was accepted, wait for Kafka, then leave. Several receivers share one port.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from functools import partial
from types import TracebackType
from typing import Final

import structlog
import uvloop
from aiohttp import web

from hourmark.control import ControlTail
from hourmark.errors import BrokerUnavailable, InvariantBroken, PlatformError, QuotaExceeded, Unavailable
from hourmark.metrics import MetricsPage, listen_address, render
from hourmark.runtime import node_name, until_signal
from hourmark.serving import REQUEST_ID, RequestIds, Server

from .answer import failure
from .body import read_body
from .budget import Reading
from .canary import Canary
from .catalogue import Catalogue, Tail
from .correlation import Episodes
from .cors import Origins
from .errors import Refused
from .intake import Intake
from .keys import Keys
from .lookup import Lookup
from .measures import INFLIGHT, INFLIGHT_LIMIT, READING, REFUSALS, TOTALS
from .parking import KafkaParkedLog
from .publisher import KafkaPublisher, Publisher
from .replay import Replay
from .settings import Settings

log = structlog.get_logger()

EVENTS_PATH: Final = "/v1/events"
DEPRECATED: Final = "Hourmark-Deprecated"
_JSON: Final = "application/json"
_CODE: Final = web.ResponseKey("code", str)
_GET: Final = ("GET", "HEAD")


class Receiver:
    """One receiver. `tail` and `publisher` are Kafka's unless given; both are started and closed here."""

    def __init__(self, settings: Settings, *, tail: Tail | None = None, publisher: Publisher | None = None) -> None:
        self.settings = settings
        self.url = ""
        self.broken = asyncio.Event()
        catalogue = Catalogue(lambda: self.tail.snapshot)
        self.tail: Tail = tail if tail is not None else ControlTail(settings, "receiver", catalogue.prove, ready=self.not_ready)
        self.publisher: Publisher = publisher if publisher is not None else KafkaPublisher(settings, self.broken.set)
        self.lookup = Lookup(settings.registry_url, self.tail.offer)
        self._origins = Origins(settings.web_origins)
        self.keys = Keys(lambda: self.tail.snapshot, lambda: self.tail.caught_up.is_set())
        self.reading = Reading(settings.inflight_bytes)
        self.intake = Intake(settings, catalogue, self.lookup, self.publisher)
        self.replay: Replay | None = None
        if publisher is None and settings.replay_events_s:
            self.replay = Replay(settings, KafkaParkedLog(settings), catalogue, self.publisher, self.intake.budget)
        self._canary = Canary(settings, self.tail, node_name(settings, "receiver")) if settings.canary_url else None
        self._ids, self._episodes = RequestIds(), Episodes()
        self._runner: web.ServerRunner | None = None
        self._page: MetricsPage | None = None

    async def __aenter__(self) -> Receiver:
        settings = self.settings
        linger = min(2.0, settings.stall_s)
        server = Server(self._serve, access_log=None, auto_decompress=False, keepalive_timeout=75.0, lingering_time=linger)
        self._runner = web.ServerRunner(server, shutdown_timeout=settings.stop_s)
        await self._runner.setup()
        host, port = listen_address(settings.listen)
        try:
            await web.TCPSite(self._runner, host, port, reuse_port=True, backlog=1024).start()
        except OSError as exc:
            await self._runner.cleanup()
            raise Unavailable(f"cannot listen on {settings.listen}: {exc.strerror}") from exc
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self.publisher.start()
        self.tail.start()
        if self.replay is not None:
            self.replay.start()
        if self._canary is not None:
            self._canary.start()
        self._show_budgets()
        self._page = MetricsPage(settings, self.not_ready)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        deadline = time.monotonic() + self.settings.stop_s
        if self._canary is not None:
            await self._canary.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self.replay is not None:
            await self.replay.close(max(0.5, (deadline - time.monotonic()) / 2))
        await self.publisher.close(max(0.5, deadline - time.monotonic()))
        await self.lookup.close()
        await asyncio.to_thread(self.tail.close)
        if self._page is not None:
            self._page.close()

    def _show_budgets(self) -> None:
        """Asked at each scrape, on whichever page."""
        budget = self.intake.budget
        for tier, limit in budget.limits.items():
            INFLIGHT.labels(tier).set_function(partial(budget.used.__getitem__, tier))
            INFLIGHT_LIMIT.labels(tier).set(limit)
        READING.set_function(lambda: self.reading.used)

    def not_ready(self) -> str | None:
        """Why this process should get no requests now; None when it should."""
        reason = self.publisher.not_ready()
        if reason is None and not self.tail.snapshot.keys:
            return "no write key is known yet"
        return reason

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = self._ids.of(request.headers)
        answer = await self._answer(request, request_id)
        answer.headers[REQUEST_ID] = request_id
        if answer.status >= 400 and _CODE in answer:
            self._episodes.saw(answer.status, answer[_CODE], request_id)
        answer.headers.update(self._origins.headers(request.headers))
        return answer

    async def _answer(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        try:
            if request.raw_path == EVENTS_PATH or request.path == EVENTS_PATH:
                return await self._events(request, request_id)
            return self._aside(request)
        except Refused as exc:
            return self._refuse(exc.status, exc, exc.headers, close=exc.close)
        except Unavailable as exc:
            retry_after = {"Retry-After": str(max(1, math.ceil(exc.retry_after)))}
            return self._refuse(429 if isinstance(exc, QuotaExceeded) else 503, exc, retry_after)
        except InvariantBroken as exc:
            log.error("stopping", code=exc.code, message=exc.message)
            self.broken.set()
            return self._refuse(500, exc, {})

    async def _events(self, request: web.BaseRequest, request_id: str) -> web.Response:
        if request.method == "OPTIONS" and (permitted := self._origins.preflight(request.headers)) is not None:
            return web.json_response({}, headers=permitted)
        if request.method != "POST":
            raise Refused(405, "method_not_allowed", f"{EVENTS_PATH} takes POST", Allow="POST")
        key = self.keys.authorize(request.headers.get("Authorization"))
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        body = await read_body(request, self.settings, self.reading)
        taken = await self.intake.take(body, key, request_id)
        if taken.retry:
            self._episodes.saw(200, taken.retry, request_id)
        TOTALS.answered += 1
        TOTALS.body_bytes += len(body)
        headers = {DEPRECATED: ", ".join(taken.notices)} if taken.notices else None
        return web.Response(body=taken.body, content_type=_JSON, headers=headers)

    def _refusal(self) -> Unavailable | None:
        """Why nothing can be accepted now, found out before anything is read."""
        if self.publisher.broken is not None:
            return BrokerUnavailable("this receiver is stopping", retry_after=1.0)
        return self.publisher.refusal() or self.intake.full()

    def _aside(self, request: web.BaseRequest) -> web.Response:
        if request.path not in ("/healthz", "/readyz", "/metrics"):
            raise Refused(404, "not_found", f"here are {EVENTS_PATH} /healthz /readyz /metrics")
        if request.method not in _GET:
            raise Refused(405, "method_not_allowed", f"{request.path} takes GET", Allow="GET, HEAD")
        if request.path == "/metrics":
            body, kind = render()
            return web.Response(body=body, headers={"Content-Type": kind})
        reason = self.not_ready() if request.path == "/readyz" else None
        if reason is not None:
            return web.json_response({"status": "not ready", "reason": reason}, status=503, headers={"Retry-After": "1"})
        return web.json_response({"status": "ok"})

    def _refuse(self, status: int, error: PlatformError, headers: dict[str, str], *, close: bool = False) -> web.Response:
        REFUSALS.labels(str(status), error.code).inc()
        response = web.Response(status=status, body=failure(error), content_type=_JSON, headers=headers)
        response[_CODE] = error.code
        if close:
            response.force_close()
        return response


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises InvariantBroken when the process must not go on."""
    async with Receiver(settings) as receiver:
        log.info("receiving", url=receiver.url)
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # a batch makes thousands of objects that live for milliseconds
        stopped = asyncio.ensure_future(until_signal())
        broken = asyncio.ensure_future(receiver.broken.wait())
        await asyncio.wait((stopped, broken), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        broken.cancel()
        log.info("stopping")
    if receiver.broken.is_set():
        raise receiver.publisher.broken or InvariantBroken("the receiver cannot go on")


def main(settings: Settings) -> None:
    uvloop.run(serve(settings))
