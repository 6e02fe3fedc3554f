"""Routes that change something, and those of config and mode. Who asks is looked at first: what strangers send leaves no trace."""

from __future__ import annotations

import asyncio

from aiohttp import web
from sqlalchemy import Connection

from ..database import Database
from . import catalogue_subjects, config, forms, mode, register, removal, settings
from . import requests as asks
from .declared import DeclaredSubjects
from .requests import Desk
from .speech import answer, body_of, flag


class Writes:
    """Handlers of registration and deletion."""

    def __init__(self, desk: Desk, database: Database, declared: DeclaredSubjects) -> None:
        self._desk, self._database, self._declared = desk, database, declared
        self._registrar = register.Registrar(database, desk.door)

    async def register(self, request: web.Request) -> web.StreamResponse:
        caller = await self._desk.caller(request)
        self._desk.door.check_known(caller)
        subject, sent = asks.subject(request), forms.sent(await body_of(request))
        asked = register.Asked(caller, asks.byline(request, caller), subject, sent, flag(request, "normalize"))
        event = catalogue_subjects.event_of(subject)
        if event is not None:
            return answer(request, {"id": await self._declared.register(asked, event, self._database.reading)})
        return answer(request, {"id": await asyncio.to_thread(self._registrar.register, asked)})

    async def delete_subject(self, request: web.Request) -> web.StreamResponse:
        by, subject, permanent = await self._desk.writer(request), asks.subject(request), flag(request, "permanent")

        def delete(connection: Connection) -> list[int]:
            return removal.subject(connection, settings.resolve(connection, subject), by, permanent=permanent)

        return answer(request, await self._desk.write(delete))

    async def delete_version(self, request: web.Request) -> web.StreamResponse:
        by, subject, wanted = await self._desk.writer(request), asks.subject(request), asks.version(request)
        permanent = flag(request, "permanent")

        def delete(connection: Connection) -> int:
            return removal.version(connection, settings.resolve(connection, subject), wanted, by, permanent=permanent)

        return answer(request, await self._desk.write(delete))


class Dials:
    """Handlers of config and mode."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get_config(self, request: web.Request) -> web.StreamResponse:
        named, inherited = asks.place_of_settings(request), flag(request, "defaultToGlobal")
        return answer(request, await self._desk.read(lambda connection: config.get(connection, named, inherited=inherited)))

    async def put_config(self, request: web.Request) -> web.StreamResponse:
        by, named, body = await self._desk.writer(request), asks.place_of_settings(request), await body_of(request)
        return answer(request, await self._desk.write(lambda connection: config.put(connection, named, body, by)))

    async def delete_config(self, request: web.Request) -> web.StreamResponse:
        by, named = await self._desk.writer(request), asks.place_of_settings(request)
        return answer(request, await self._desk.write(lambda connection: config.delete(connection, named, by)))

    async def get_mode(self, request: web.Request) -> web.StreamResponse:
        named, inherited = asks.place_of_settings(request), flag(request, "defaultToGlobal")
        return answer(request, await self._desk.read(lambda connection: mode.get(connection, named, inherited=inherited)))

    async def put_mode(self, request: web.Request) -> web.StreamResponse:
        by, named, body = await self._desk.writer(request), asks.place_of_settings(request), await body_of(request)
        force = flag(request, "force")
        return answer(request, await self._desk.write(lambda connection: mode.put(connection, named, body, by, force=force)))

    async def delete_mode(self, request: web.Request) -> web.StreamResponse:
        by, named = await self._desk.writer(request), asks.place_of_settings(request)
        return answer(request, await self._desk.write(lambda connection: mode.delete(connection, named, by)))
