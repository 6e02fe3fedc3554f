"""HTTP as Confluent's registry speaks it: content types, bodies, and one shape of failure, `{"error_code", "message"}`."""

from __future__ import annotations

import asyncio
import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from hourmark.errors import Unavailable

from .errors import FaceError, invalid_schema, malformed

log = structlog.get_logger()

V1: Final = "application/vnd.schemaregistry.v1+json"
TYPES: Final = (V1, "application/vnd.schemaregistry+json", "application/json")
BODY_S: Final = 30.0
_READ: Final = (*TYPES, "application/octet-stream")  # what clients send when nobody told them
_HALF_PAIRS: Final = re.compile(r"\\u[dD][89a-fA-F]")
_NATIVE: Final = ("/v1/", "/healthz", "/readyz", "/metrics")
_FACE: Final = "/v1/metadata/"
_TELLING: Final = {404: "HTTP 404 Not Found", 405: "HTTP 405 Method Not Allowed", 413: "HTTP 413 Request Entity Too Large"}


def is_ours(path: str) -> bool:
    """Everything but the registry's own API and its probes."""
    return path.startswith(_FACE) or not (path.startswith(_NATIVE) or path == "/v1")


def answer(request: web.Request, body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON in the type that the client prefers; a `bytes` body is sent as it is."""
    payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(body=payload, status=status, content_type=_accepted(request) or V1, headers=headers)


@web.middleware
async def speaking(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Failures of the face in its own shape. What nobody expected is a 500 with a log line, and nothing of it in the answer."""
    if not is_ours(request.path):
        return await handler(request)
    try:
        if not _accepted(request):
            raise FaceError(406, 406, "HTTP 406 Not Acceptable")
        return await handler(request)
    except FaceError as exc:
        headers = {"WWW-Authenticate": 'Basic realm="hourmark"'} if exc.status == 401 else None
        return answer(request, {"error_code": exc.number, "message": exc.message}, exc.status, headers)
    except Unavailable as exc:
        headers = {"Retry-After": str(math.ceil(exc.retry_after))}
        return answer(request, {"error_code": 50301, "message": exc.message}, 503, headers)
    except web.HTTPException as exc:
        headers = {name: exc.headers[name] for name in ("Allow",) if name in exc.headers}
        told = _TELLING.get(exc.status, f"HTTP {exc.status} {exc.reason}")
        return answer(request, {"error_code": exc.status, "message": told}, exc.status, headers)
    except Exception:
        log.exception("request failed", code="internal", path=request.path)
        return answer(request, {"error_code": 50001, "message": "the registry failed; see its log"}, 500)


async def body_of(request: web.Request) -> Any:
    """The JSON in the body. Raises FaceError: 400, 408, 413, 415."""
    if "Content-Type" in request.headers and request.content_type not in _READ:
        raise FaceError(415, 415, "HTTP 415 Unsupported Media Type")
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError:
        raise FaceError(408, 408, f"the body did not arrive within {BODY_S:.0f} s") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as exc:
        raise malformed(f"the body cannot be read: {' '.join(str(exc).split()):.200}") from None
    return await asyncio.to_thread(_parsed, body, request.charset or "utf-8")


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    """A query parameter that says yes or no."""
    found = request.query.get(name)
    return default if found is None else found.strip().lower() == "true"


def number(request: web.Request, name: str, default: int) -> int:
    """A query parameter as a number; what is none counts as not given."""
    found = request.query.get(name, "").strip()
    digits = found.removeprefix("-")
    return int(found) if digits.isascii() and digits.isdigit() and len(digits) < 10 else default


def _parsed(body: bytes, charset: str) -> Any:
    try:
        codecs.lookup(charset)
    except LookupError:
        raise FaceError(415, 415, f"HTTP 415 Unsupported Media Type: unknown charset {charset:.50}") from None
    try:
        text = body.decode(charset)
        found = json.loads(text, parse_constant=_no_number)
        if _HALF_PAIRS.search(text):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeEncodeError:
        raise invalid_schema("a text in the body holds half of a surrogate pair") from None
    except (ValueError, RecursionError) as exc:
        told = "nested too deep" if isinstance(exc, RecursionError) else " ".join(str(exc).split())[:200]
        raise malformed(f"Malformed request: the body is no JSON: {told}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _accepted(request: web.Request) -> str:
    """The content type to answer with; empty when the client takes none of ours."""
    offers = []
    for header in request.headers.getall("Accept", []):
        for number, part in enumerate(header.split(",")):
            kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
            weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
            offers.append((-_weight(weight), number, kind))
    for disliked, _, kind in sorted(offers):
        if not disliked:
            continue
        if kind in TYPES:
            return kind
        if kind == "*" or kind.startswith("*/") or kind == "application/*":
            return V1
    return "" if offers else V1


def _weight(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 1.0
    return found if 0 <= found <= 1 else 1.0
