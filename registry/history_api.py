"""The past over HTTP: revisions of an event type, and the audit log; and the audit of writes that are refused."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from hourmark.errors import Unavailable
from hourmark.topics import is_event_type

from .history import Byline, History, Record
from .refusal import Refused, refuse
from .web import byline, number, tagged, text

log = structlog.get_logger()

PAGE: Final = 100
PAGE_MOST: Final = 1000
NEWEST: Final = 2**62
SUBJECT_MAX: Final = 300
_ACTIONS: Final = {("PUT", "events"): "declare", ("PUT", "keys"): "put_key", ("DELETE", "keys"): "delete_key"}
_SUBJECTS: Final = {"events": "event", "keys": "key"}


class HistoryApi:
    """Handlers and a middleware."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/events/{type}/revisions", self.revisions),
            web.get("/v1/events/{type}/revisions/{revision}", self.revision),
            web.get("/v1/audit", self.audit),
        ]

    async def revisions(self, request: web.Request) -> web.Response:
        """Newest first; `next`: the `before` of the following page."""
        event = request.match_info["type"]
        limit, before = max(1, number(request, "limit", PAGE, PAGE_MOST)), number(request, "before", NEWEST, NEWEST)
        known = is_event_type(event)
        found = await asyncio.to_thread(self._history.revisions, event, before, limit + 1) if known else []
        if not found and (not known or not await asyncio.to_thread(self._history.revisions, event, NEWEST, 1)):
            raise unknown_event(event)
        following = found[limit - 1]["revision"] if len(found) > limit else None
        body = {"event": event, "revisions": found[:limit], "next": following}
        return tagged(request, body)

    async def revision(self, request: web.Request) -> web.Response:
        """The declaration as it was."""
        event, wanted = request.match_info["type"], request.match_info["revision"]
        known = is_event_type(event) and wanted.isascii() and wanted.isdigit() and len(wanted) <= 18
        found = await asyncio.to_thread(self._history.revision, event, int(wanted)) if known else None
        if found is None:
            fix = f"GET /v1/events/{event:.100}/revisions lists them"
            raise refuse(404, "unknown_revision", f"{event!r:.120} has no revision {wanted:.40}", fix)
        return tagged(request, {"event": event, **found}, found["revision"])

    async def audit(self, request: web.Request) -> web.Response:
        """Oldest first; `next`: the `after` of the following page, which may still be empty."""
        limit, after = max(1, number(request, "limit", PAGE, PAGE_MOST)), number(request, "after", 0, NEWEST)
        found = await asyncio.to_thread(self._history.audit, after, limit, text(request, "subject", SUBJECT_MAX))
        return tagged(request, {"audit": found, "next": found[-1]["number"] if found else after})

    @web.middleware
    async def audited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Writes that are refused leave a row too. Those without the admin token do not: whoever can reach us could fill the log."""
        try:
            return await handler(request)
        except Refused as exc:
            entry = _refused(request, exc)
            if entry is not None:
                try:
                    await asyncio.to_thread(self._history.refused, entry)
                except Unavailable as trouble:
                    log.warning("a refused write is not in the audit log", subject=entry.subject, code=exc.code, error=trouble.message)
            raise


def unknown_event(name: str) -> Refused:
    return refuse(404, "unknown_event_type", f"{name!r:.120} is not declared", "GET /v1/events lists what is declared; correct the name")


def _refused(request: web.Request, exc: Refused) -> Record | None:
    """None for what is no write of ours."""
    resource = request.match_info.route.resource
    _, version, kind, *_ = [*(resource.canonical if resource else "").split("/"), "", "", ""]
    action = _ACTIONS.get((request.method, kind))
    if version != "v1" or action is None:
        return None
    name = "".join(char if char.isprintable() else "?" for char in next(iter(request.match_info.values()), ""))
    try:
        said = byline(request)
    except Refused:
        said = Byline()
    problems = [{"path": problem.path, "rule": problem.rule} for problem in exc.problems[:10]]
    detail = {"outcome": "refused", "status": exc.status, "code": exc.code, "reason": exc.message[:500], "problems": problems}
    return Record(action, f"{_SUBJECTS[kind]}/{name}"[:SUBJECT_MAX], said, None, detail)
