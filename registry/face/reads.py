"""Reading routes: schemas, subjects, versions, look-ups and checks of compatibility. Open to everybody."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from . import catalogue_subjects, compat, errors, formats, forms, queries, register, settings, subjects
from . import requests as asks
from .declared import DeclaredSubjects
from .forms import Version
from .names import Subject
from .requests import Desk
from .speech import answer, body_of, flag


class Reads:
    """Handlers that change nothing."""

    def __init__(self, desk: Desk, declared: DeclaredSubjects) -> None:
        self._desk, self._declared = desk, declared

    async def types(self, request: web.Request) -> web.StreamResponse:
        return answer(request, list(forms.KINDS))

    async def schemas(self, request: web.Request) -> web.StreamResponse:
        context, prefix, latest = asks.context(request), request.query.get("subjectPrefix", ""), flag(request, "latestOnly")
        found = await self._desk.read(
            lambda connection: queries.listed(connection, context, prefix, asks.wanted(request), latest_only=latest)
        )
        return answer(request, [asks.described(version._replace(subject=shown)) for shown, version in found])

    async def by_id(self, request: web.Request) -> web.StreamResponse:
        context, wanted, form = asks.context(request), asks.schema_id(request), request.query.get("format", "")

        def find(connection: Connection) -> dict[str, Any]:
            found = queries.schema_of_id(connection, context, wanted, request.query.get("subject", ""))
            text = queries.text_of(connection, context, found, form)
            most = {"maxId": queries.largest_id(connection, context)} if flag(request, "fetchMaxId") else {}
            return {"schemaType": found.kind, "schema": text, **asks.extras(found), **most}

        return answer(request, await self._desk.read(find))

    async def text_by_id(self, request: web.Request) -> web.StreamResponse:
        context, wanted, form = asks.context(request), asks.schema_id(request), request.query.get("format", "")

        def find(connection: Connection) -> str:
            found = queries.schema_of_id(connection, context, wanted, request.query.get("subject", ""))
            return queries.text_of(connection, context, found, form)

        return answer(request, (await self._desk.read(find)).encode())

    async def subjects_of_id(self, request: web.Request) -> web.StreamResponse:
        return answer(request, asks.wanted(request).page(sorted({version.subject for version in await self._holders(request)})))

    async def versions_of_id(self, request: web.Request) -> web.StreamResponse:
        found = [{"subject": version.subject, "version": version.version} for version in await self._holders(request)]
        return answer(request, asks.wanted(request).page(found))

    async def subjects(self, request: web.Request) -> web.StreamResponse:
        context, prefix = asks.context(request), request.query.get("subjectPrefix", "")
        return answer(
            request, await self._desk.read(lambda connection: queries.subject_names(connection, context, prefix, asks.wanted(request)))
        )

    async def versions(self, request: web.Request) -> web.StreamResponse:
        subject = asks.subject(request)

        def find(connection: Connection) -> list[int]:
            return queries.version_numbers(connection, settings.resolve(connection, subject), asks.wanted(request))

        return answer(request, await self._desk.read(find))

    async def version(self, request: web.Request) -> web.StreamResponse:
        found, text, _ = await self._one(request)
        more = {"deleted": found.deleted} if flag(request, "deleted") else {}
        return answer(request, asks.described(found._replace(text=text)) | more)

    async def text(self, request: web.Request) -> web.StreamResponse:
        return answer(request, (await self._one(request))[1].encode())

    async def referenced_by(self, request: web.Request) -> web.StreamResponse:
        subject, wanted = asks.subject(request), asks.version(request)

        def find(connection: Connection) -> list[int]:
            named = settings.resolve(connection, subject)
            found = queries.one_version(connection, named, wanted, deleted=flag(request, "deleted"))
            return subjects.referring(connection, named, found.version)

        return answer(request, asks.wanted(request).page(await self._desk.read(find)))

    async def by_metadata(self, request: web.Request) -> web.StreamResponse:
        """The newest version whose metadata have these properties, or the metadata of the newest of all."""
        subject, deleted = asks.subject(request), flag(request, "deleted")
        wanted = dict(zip(request.query.getall("key", []), request.query.getall("value", []), strict=False))

        def find(connection: Connection) -> Version:
            found = subjects.versions(connection, settings.resolve(connection, subject))
            found = found if deleted else subjects.live(found)
            if not found:
                raise errors.no_subject(subject.shown)
            for version in found[::-1]:
                if wanted.items() <= ((version.metadata or {}).get("properties") or {}).items():
                    return version
            raise errors.no_schema()

        version = await self._desk.read(find)
        return answer(request, asks.described(version) if wanted else version.metadata or {})

    async def look_up(self, request: web.Request) -> web.StreamResponse:
        subject, sent = asks.subject(request), forms.sent(await body_of(request))
        normalize, deleted = flag(request, "normalize"), flag(request, "deleted") or flag(request, "lookupDeletedSubject")

        def find(connection: Connection) -> Version:
            named = settings.resolve(connection, subject)
            return register.look_up(connection, named, sent, normalize=normalize, deleted=deleted)

        return answer(request, asks.described(await self._desk.read(find)))

    async def compatible(self, request: web.Request) -> web.StreamResponse:
        subject, wanted = asks.subject(request), asks.version(request) if "version" in request.match_info else None
        sent, normalize, verbose = forms.sent(await body_of(request)), flag(request, "normalize"), flag(request, "verbose")

        def check(connection: Connection) -> tuple[str | None, formats.Schema | None, list[str]]:
            named = settings.resolve(connection, subject)
            rules, found = settings.rules(connection, named), subjects.live(subjects.versions(connection, named))
            try:
                schema = register.schema_of(register.scene_of(connection, named, sent, found), sent, normalize)
            except errors.FaceError as exc:
                if not verbose:
                    raise
                return None, None, [exc.message]
            against = queries.compared(found, wanted)
            problems = compat.problems(rules, schema, sent.metadata, against, register.reader(connection, named.context))
            return catalogue_subjects.event_of(named), schema, problems

        event, schema, problems = await self._desk.read(check)
        if event is not None and schema is not None and schema.avro is not None and not problems:
            problems = await asyncio.to_thread(self._declared.problems, event, schema.avro)
        more = {"messages": problems} if verbose else {}
        return answer(request, {"is_compatible": not problems, **more})

    async def _one(self, request: web.Request) -> tuple[Version, str, Subject]:
        subject, wanted, deleted = asks.subject(request), asks.version(request), flag(request, "deleted")

        def find(connection: Connection) -> tuple[Version, str, Subject]:
            named = settings.resolve(connection, subject)
            found = queries.one_version(connection, named, wanted, deleted=deleted)
            return found, queries.text_of(connection, named.context, found, request.query.get("format", "")), named

        return await self._desk.read(find)

    async def _holders(self, request: web.Request) -> list[Version]:
        context, wanted, subject = asks.context(request), asks.schema_id(request), request.query.get("subject", "")
        return await self._desk.read(
            lambda connection: queries.holders(connection, context, wanted, subject, deleted=flag(request, "deleted"))
        )
