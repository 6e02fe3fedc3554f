"""HTTP in our manner: every answer is JSON, every failure has a code, and no bad input becomes a 5xx."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from hourmark.errors import PlatformError, Unavailable
from hourmark.metrics import Histogram
from hourmark.serving import REQUEST_ID, RequestIds

from .document import MAX_BYTES, is_text, parse_json, parse_yaml
from .expected import Expected
from .history import Byline
from .refusal import Problem, Refused, refuse

log = structlog.get_logger()

BODY_S = 30.0
AUTHOR_MAX, MESSAGE_MAX = 200, 2000
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
LATENCY = Histogram("hourmark_registry_http_seconds", "Time to answer, by route", ["route", "method", "status"])
_CODES = {404: "unknown_path", 405: "method_not_allowed", 413: "body_too_large", 408: "body_stalled", 401: "unauthorized"}
_MESSAGES = {404: "nothing is here; under /v1 there are events, keys, nodes, control and audit"}
_FIXES = {404: "correct the path", 413: f"send at most {MAX_BYTES} bytes"}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s)?")
_IDS = RequestIds()
T = TypeVar("T")


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def refusal(status: int, code: str, message: str, **more: object) -> web.Response:
    """The one shape of failure."""
    return answer({"code": code, "message": message, **more}, status)


def tagged(request: web.Request, body: Mapping[str, object], tag: object = None) -> web.Response:
    """The answer to a GET with its ETag, 304 when the asker has that. `tag`: a revision; without one a digest of the body."""
    said = msgspec.json.encode(body)
    told = f'"{blake2b(said, digest_size=12).hexdigest() if tag is None else tag}"'
    asked = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    if told in asked or "*" in asked:
        return web.Response(status=304, headers={"ETag": told})
    return web.Response(body=said, content_type="application/json", headers={"ETag": told})


@web.middleware
async def named(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer, and every line logged on its way, has the request's id: the asker's own, or one of ours."""
    request_id = _IDS.of(request.headers)
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        response = await handler(request)
    response.headers[REQUEST_ID] = request_id
    return response


@web.middleware
async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Latency by route; waits are part of it."""
    started = time.monotonic()
    response = await handler(request)
    resource = request.match_info.route.resource
    LATENCY.labels(resource.canonical if resource else "unknown", request.method, response.status).observe(time.monotonic() - started)
    return response


@web.middleware
async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Failures as answers. What nobody expected is a 500 with a log line, and nothing of it in the answer."""
    try:
        return await handler(request)
    except Refused as exc:
        response = refusal(exc.status, exc.code, exc.message, problems=exc.problems, **exc.more)
        if exc.more.get("revision"):
            response.headers["ETag"] = f'"{exc.more["revision"]}"'
        return response
    except Unavailable as exc:
        response = refusal(503, exc.code, exc.message)
        response.headers["Retry-After"] = str(math.ceil(exc.retry_after))
        return response
    except web.HTTPException as exc:
        allow = exc.headers.get("Allow")
        told = f"{request.path:.100} takes {allow}" if allow else _MESSAGES.get(exc.status, exc.reason)
        code = _CODES.get(exc.status, "bad_request")
        fix = f"use {allow}" if allow else _FIXES.get(exc.status, "correct the request")
        response = refusal(exc.status, code, told, problems=[Problem("", code, told, fix)])
        if allow:
            response.headers["Allow"] = allow
        return response
    except PlatformError as exc:
        log.error("request failed", path=request.path, code=exc.code, message=exc.message)
        return refusal(500, exc.code, "the registry failed; see its log")
    except Exception:
        log.exception("request failed", code="internal", path=request.path)
        return refusal(500, "internal", "the registry failed; see its log")


def guarded(token: str) -> Any:
    """A middleware that asks for the admin token on everything of the native API that changes something; the face asks by itself."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token and request.method in ("PUT", "DELETE") and request.path.startswith("/v1/"):
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
                told = "writes need Authorization: Bearer <admin token>"
                raise refuse(401, "unauthorized", told, "send the token of HOURMARK_REGISTRY_ADMIN_TOKEN", "Authorization")
        return await handler(request)

    return guard


async def body_of(request: web.Request) -> bytes:
    """The whole body, at most 1 MiB, within 30 s."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise refuse(408, "body_stalled", f"the body did not arrive within {BODY_S:.0f} s", "send it again, faster") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as exc:
        told = f"the body cannot be read: {' '.join(str(exc).split()):.200}"
        raise refuse(400, "malformed_body", told, "send the bytes that Content-Length and Content-Encoding promise") from None
    except web.HTTPRequestEntityTooLarge:
        raise refuse(413, "body_too_large", f"a body has at most {MAX_BYTES} bytes", "shorten it; split the event type") from None


async def document_of(request: web.Request) -> Any:
    """The JSON or YAML document in the body. Raises Refused."""
    body = await body_of(request)
    kind = request.content_type if "Content-Type" in request.headers else "application/json"
    if kind in YAML:
        return await asyncio.to_thread(parse_yaml, body)
    if kind == "application/json" or kind.endswith("+json"):
        return await asyncio.to_thread(parse_json, body)
    told = f"{kind:.100} is not read here"
    raise refuse(415, "unsupported_media_type", told, "send application/json or application/yaml", "Content-Type")


def shaped(document: object, kind: type[T]) -> T:
    """A small body as a struct. Raises Refused (400)."""
    try:
        return msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError) as exc:
        told, _, where = str(exc)[:300].partition(" - at `$")
        path = where.rstrip("`").replace("[", ".").replace("]", "").replace(".", "/")
        raise refuse(400, "invalid_body", told, "correct the body", path) from None


def text(request: web.Request, name: str, most: int = 200) -> str:
    """A query parameter as plain text. Raises Refused (400)."""
    found = request.query.get(name, "")
    if len(found) > most or not found.isprintable():
        raise invalid(f"?{name}", f"{name} must be printable text of at most {most} characters")
    return found


def number(request: web.Request, name: str, default: int, most: int) -> int:
    """A query parameter as a number from 0 to `most`. Raises Refused (400)."""
    found = text(request, name)
    if not found:
        return default
    if not (found.isascii() and found.isdigit() and len(found) <= 18 and int(found) <= most):
        raise invalid(f"?{name}", f"{name} must be a number from 0 to {most}")
    return int(found)


def seconds(request: web.Request, name: str, most: float) -> float | None:
    """A query parameter like `5s`, `500ms` or `5`, in seconds; None when absent. Raises Refused (400)."""
    found = text(request, name)
    if not found:
        return None
    match = _SPAN.fullmatch(found)
    if match is None or not match[1].isascii():
        raise invalid(f"?{name}", f"{name} must be a time like 5s or 500ms")
    return min(float(match[1]) / (1000 if match[2] == "ms" else 1), most)


def expected(request: web.Request) -> Expected:
    """What If-Match and If-None-Match say. Raises Refused (400)."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        return Expected(revision=0)
    if "If-Match" not in request.headers:
        return Expected()
    found = request.headers["If-Match"].strip().removeprefix("W/").strip('"')
    if found == "*":
        return Expected(exists=True)
    if not (found.isascii() and found.isdigit() and len(found) <= 18):
        raise invalid("If-Match", "If-Match must be one revision, as in the ETag of what is changed")
    return Expected(revision=int(found))


def byline(request: web.Request) -> Byline:
    """Who writes and why: `?author=&message=`, or the headers Hourmark-Author and Hourmark-Message in UTF-8. Raises Refused (400)."""
    return Byline(_said(request, "author", AUTHOR_MAX), _said(request, "message", MESSAGE_MAX))


def _said(request: web.Request, name: str, most: int) -> str:
    header = f"Hourmark-{name.title()}"
    place = f"?{name}" if name in request.query else header
    found = (request.query[name] if name in request.query else request.headers.get(header, "")).strip()
    if found and (len(found) > most or not is_text(found, "\r\n\t" if name == "message" else "")):
        raise invalid(place, f"{name} must be text in UTF-8 of at most {most} characters, without control characters")
    return found


def invalid(place: str, told: str) -> Refused:
    """400: a parameter or header at fault."""
    return refuse(400, "invalid_parameter", told, "correct it, or leave it out", place)
