"""Writes that are refused leave a row in the audit log too, ours and those through the Confluent-compatible face.

Not those without the admin token (401, 403): whoever can reach us could fill the log. Reads and look-ups leave nothing.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from hourmark.errors import Unavailable

from .history import Byline, History, Record
from .refusal import Refused
from .web import byline

log = structlog.get_logger()

SUBJECT_MAX: Final = 300
_OURS: Final = {
    ("PUT", "/v1/events/{type}"): ("declare", "event"),
    ("PUT", "/v1/keys/{name}"): ("put_key", "key"),
    ("DELETE", "/v1/keys/{name}"): ("delete_key", "key"),
}
_OF_THE_FACE: Final = {
    ("POST", "/subjects/{subject}/versions"): "schema_register",
    ("DELETE", "/subjects/{subject}"): "schema_delete",
    ("DELETE", "/subjects/{subject}/versions/{version}"): "schema_delete",
    **{("PUT", f"/{kind}{of}"): f"{kind}_update" for kind in ("config", "mode") for of in ("", "/{subject}")},
    **{("DELETE", f"/{kind}{of}"): f"{kind}_delete" for kind in ("config", "mode") for of in ("", "/{subject}")},
}
_NOT_ALLOWED: Final = (401, 403)


def audited(history: History) -> Any:
    """A middleware that keeps what is refused."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Refused as exc:
            problems = [{"path": problem.path, "rule": problem.rule} for problem in exc.problems[:10]]
            detail = {"status": exc.status, "code": exc.code, "reason": exc.message[:500], "problems": problems}
            await _keep(history, _ours(request, detail))
            raise
        if 400 <= response.status < 500 and isinstance(response, web.Response):
            await _keep(history, _of_the_face(request, response))
        return response

    return keep


async def _keep(history: History, entry: Record | None) -> None:
    if entry is None or entry.detail["status"] in _NOT_ALLOWED:
        return
    try:
        await asyncio.to_thread(history.refused, entry)
    except Unavailable as trouble:
        log.warning("a refused write is not in the audit log", subject=entry.subject, code=entry.detail["code"], error=trouble.message)


def _ours(request: web.Request, detail: dict[str, Any]) -> Record | None:
    found = _OURS.get((request.method, _route(request)))
    return None if found is None else _record(request, found[0], found[1], detail)


def _of_the_face(request: web.Request, response: web.Response) -> Record | None:
    route = _route(request).removeprefix("/contexts/{context}").removesuffix("{slash}")
    action = _OF_THE_FACE.get((request.method, route))
    if action is None:
        return None
    said = json.loads(response.body) if isinstance(response.body, bytes) else {}
    detail = {"status": response.status, "code": said.get("error_code"), "reason": str(said.get("message", ""))[:500]}
    return _record(request, action, "subject", detail)


def _record(request: web.Request, action: str, kind: str, detail: dict[str, Any]) -> Record:
    names = [request.match_info.get(name, "") for name in ("context", "type", "name", "subject")]
    named = "".join(char if char.isprintable() else "?" for char in ":".join(filter(None, names)))
    try:
        said = byline(request)
    except Refused:
        said = Byline()
    return Record(action, f"{kind}/{named}"[:SUBJECT_MAX], said, None, {"outcome": "refused", **detail})


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
