"""What a request asks for: its context, subject, version, id and filter, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Connection

from ..database import Database
from ..history import Byline
from . import access, errors, queries
from .forms import Version
from .names import DEFAULT, GLOBAL, Subject, context_named, subject_named
from .queries import Filter
from .speech import flag, number

T = TypeVar("T")


class Desk:
    """What the groups of routes share: transactions in threads, and the door."""

    def __init__(self, database: Database, door: access.Access) -> None:
        self._database, self.door = database, door

    async def read(self, step: Callable[[Connection], T]) -> T:
        """`step` in a reading transaction, off the loop."""

        def run() -> T:
            with self._database.reading() as connection:
                return step(connection)

        return await asyncio.to_thread(run)

    async def write(self, step: Callable[[Connection], T]) -> T:
        """`step` in a writing transaction, off the loop."""

        def run() -> T:
            with self._database.writing() as connection:
                return step(connection)

        return await asyncio.to_thread(run)

    async def caller(self, request: web.Request) -> access.Caller:
        return await asyncio.to_thread(self.door.caller, request.headers.get("Authorization", ""))

    async def writer(self, request: web.Request) -> Byline:
        """Whoever may change things. Raises FaceError (401, 403)."""
        caller = await self.caller(request)
        self.door.check_write(caller)
        return byline(request, caller)


def context(request: web.Request) -> str:
    found = context_named(request.match_info["context"]) if "context" in request.match_info else DEFAULT
    if found == GLOBAL:
        raise errors.not_permitted(f"The context {GLOBAL} holds settings only, no schemas")
    return found


def subject(request: web.Request) -> Subject:
    return subject_named(request.match_info["subject"], context(request))


def place_of_settings(request: web.Request) -> Subject:
    context = context_named(request.match_info["context"]) if "context" in request.match_info else DEFAULT
    return subject_named(request.match_info["subject"], context) if "subject" in request.match_info else Subject(context, "", "")


def schema_id(request: web.Request) -> int:
    found = request.match_info["id"]
    if not (found.isascii() and found.isdigit() and len(found) < 11 and int(found) < 2**31):
        raise errors.FaceError(404, 404, "HTTP 404 Not Found")
    return int(found)


def version(request: web.Request) -> int:
    found = request.match_info["version"]
    if found in ("latest", "-1"):
        return queries.LATEST
    if not (found.isascii() and found.isdigit() and len(found) < 11 and 1 <= int(found) < 2**31):
        raise errors.invalid_version(found)
    return int(found)


def wanted(request: web.Request) -> Filter:
    return Filter(flag(request, "deleted"), flag(request, "deletedOnly"), number(request, "offset", 0), number(request, "limit", -1))


def byline(request: web.Request, caller: access.Caller) -> Byline:
    author = request.headers.get("Hourmark-Author", caller.name).encode("utf-8", "replace").decode()
    return Byline(author[:200], request.headers.get("Hourmark-Message", "")[:1000].encode("utf-8", "replace").decode())


def described(version: Version) -> dict[str, Any]:
    return {**place(version), "schemaType": version.kind, "schema": version.text, **extras(version)}


def place(version: Version) -> dict[str, Any]:
    return {"subject": version.subject, "id": version.id, "version": version.version}


def extras(version: Version) -> dict[str, Any]:
    found = {
        "references": [reference.json() for reference in version.references],
        "metadata": version.metadata,
        "ruleSet": version.rules,
    }
    return {name: value for name, value in found.items() if value}
