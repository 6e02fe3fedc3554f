"""aiohttp in our manner: where the library itself answers (what came is no HTTP; a failure that nobody caught), the body is JSON too.

What aiohttp logs of senders' mistakes is dropped: they have their answer. What is our own fault is logged, and stays out of the answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from itertools import count
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

log = structlog.get_logger()

REQUEST_ID: Final = "Hourmark-Request-Id"
_USABLE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestIds:
    """The sender's own id where it is usable (a trace id, say), else one of ours, which no other process makes."""

    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(6), count(1)

    def of(self, headers: Mapping[str, str]) -> str:
        given = headers.get(REQUEST_ID)
        return given if given is not None and _USABLE.fullmatch(given) else f"{self._prefix}-{next(self._numbers):x}"


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing else can be said")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            code, text = "bad_request", " ".join((message or HTTPStatus(status).phrase).split())[:300]
        else:
            log.error("request failed", code="internal", path=request.path[:200], exc_info=exc)
            code, text = "internal", "the service failed; see its log"
        response = web.Response(status=status, body=msgspec.json.encode({"code": code, "message": text}), content_type="application/json")
        response.force_close()
        return response


class Server(web.Server):
    """`web.Server`, except for the answers described above."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class AppRunner(web.AppRunner):
    """`web.AppRunner` on such a server."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = Server  # the application makes its server itself, and offers no other way in
        return server
