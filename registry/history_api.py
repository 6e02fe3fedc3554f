"""The past over HTTP: revisions of an event type, and the audit log."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from hourmark.topics import is_event_type

from .history import History
from .refusal import Refused, refuse
from .web import number, tagged, text

PAGE: Final = 100
PAGE_MOST: Final = 1000
NEWEST: Final = 2**62
SUBJECT_MAX: Final = 300


class HistoryApi:
    """Handlers."""

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


def unknown_event(name: str) -> Refused:
    return refuse(404, "unknown_event_type", f"{name!r:.120} is not declared", "GET /v1/events lists what is declared; correct the name")
