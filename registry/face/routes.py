"""The face as one object: routes over store and catalogue. Reads are open; writes ask access.py. See docs/schema-registry.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Connection

import hourmark

from ..database import Database
from ..history import Byline
from ..store import Store
from . import access, catalogue_subjects, compat, config, errors, forms, mode, queries, references, register, removal, settings, subjects
from .declared import DeclaredSubjects, Declares
from .forms import Version
from .names import DEFAULT, GLOBAL, Subject, context_named, subject_named
from .queries import Filter
from .speech import answer, body_of, flag, number

T = TypeVar("T")
Step = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SLASH = "{slash:/?}"


class Face:
    """A Confluent-compatible registry. `admin_token` empty: everybody may write."""

    def __init__(self, database: Database, store: Store, catalog: Declares, *, admin_token: str = "", auto_register: bool = False) -> None:
        self._database = database
        self._door = access.Access(store, admin_token, auto_register=auto_register)
        self._registrar = register.Registrar(database, self._door)
        self._declared = DeclaredSubjects(store, catalog, self._door)

    def routes(self) -> list[web.RouteDef]:
        steps: list[tuple[str, str, Step]] = [
            ("GET", "/schemas/types", self.types),
            ("GET", "/schemas", self.schemas),
            ("GET", "/schemas/ids/{id}", self.by_id),
            ("GET", "/schemas/ids/{id}/schema", self.text_by_id),
            ("GET", "/schemas/ids/{id}/subjects", self.subjects_of_id),
            ("GET", "/schemas/ids/{id}/versions", self.versions_of_id),
            ("GET", "/subjects", self.subjects),
            ("POST", "/subjects/{subject}", self.look_up),
            ("DELETE", "/subjects/{subject}", self.delete_subject),
            ("GET", "/subjects/{subject}/metadata", self.by_metadata),
            ("GET", "/subjects/{subject}/versions", self.versions),
            ("POST", "/subjects/{subject}/versions", self.register),
            ("GET", "/subjects/{subject}/versions/{version}", self.version),
            ("DELETE", "/subjects/{subject}/versions/{version}", self.delete_version),
            ("GET", "/subjects/{subject}/versions/{version}/schema", self.text),
            ("GET", "/subjects/{subject}/versions/{version}/referencedby", self.referenced_by),
            ("POST", "/compatibility/subjects/{subject}/versions", self.compatible),
            ("POST", "/compatibility/subjects/{subject}/versions/{version}", self.compatible),
        ]
        for kind, get, put, drop in (
            ("config", self.get_config, self.put_config, self.delete_config),
            ("mode", self.get_mode, self.put_mode, self.delete_mode),
        ):
            for path in (f"/{kind}", f"/{kind}/{{subject}}"):
                steps += [("GET", path, get), ("PUT", path, put), ("DELETE", path, drop)]
        found = [web.route(method, prefix + path + _SLASH, step) for prefix in ("", "/contexts/{context}") for method, path, step in steps]
        plain = [("/contexts", self.contexts), ("/v1/metadata/id", self.cluster), ("/v1/metadata/version", self.release)]
        plain += [("/master_available", self.master_available)]
        found += [web.get(path + _SLASH, step) for path, step in plain]
        return [*found, web.get("/", self.root)]

    async def root(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {})

    async def types(self, request: web.Request) -> web.StreamResponse:
        return answer(request, list(forms.KINDS))

    async def master_available(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"master_available": True}, headers={"Cache-Control": "no-store, no-cache, must-revalidate"})

    async def cluster(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"id": "hourmark", "scope": {"path": [], "clusters": {"schema-registry-cluster": "hourmark"}}})

    async def release(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"version": f"hourmark {hourmark.__version__}", "commitId": ""})

    async def contexts(self, request: web.Request) -> web.StreamResponse:
        return answer(request, await self._read(lambda connection: _filter(request).page(subjects.contexts(connection))))

    async def schemas(self, request: web.Request) -> web.StreamResponse:
        context, prefix, latest = _context(request), request.query.get("subjectPrefix", ""), flag(request, "latestOnly")
        found = await self._read(lambda connection: queries.listed(connection, context, prefix, _filter(request), latest_only=latest))
        return answer(request, [_described(version._replace(subject=shown)) for shown, version in found])

    async def by_id(self, request: web.Request) -> web.StreamResponse:
        context, wanted, form = _context(request), _id(request), request.query.get("format", "")

        def find(connection: Connection) -> dict[str, Any]:
            found = queries.schema_of_id(connection, context, wanted, request.query.get("subject", ""))
            text = queries.text_of(connection, context, found, form)
            most = {"maxId": queries.largest_id(connection, context)} if flag(request, "fetchMaxId") else {}
            return {"schemaType": found.kind, "schema": text, **_extras(found), **most}

        return answer(request, await self._read(find))

    async def text_by_id(self, request: web.Request) -> web.StreamResponse:
        context, wanted, form = _context(request), _id(request), request.query.get("format", "")

        def find(connection: Connection) -> str:
            found = queries.schema_of_id(connection, context, wanted, request.query.get("subject", ""))
            return queries.text_of(connection, context, found, form)

        return answer(request, (await self._read(find)).encode())

    async def subjects_of_id(self, request: web.Request) -> web.StreamResponse:
        return answer(request, _filter(request).page(sorted({version.subject for version in await self._holders(request)})))

    async def versions_of_id(self, request: web.Request) -> web.StreamResponse:
        found = [{"subject": version.subject, "version": version.version} for version in await self._holders(request)]
        return answer(request, _filter(request).page(found))

    async def subjects(self, request: web.Request) -> web.StreamResponse:
        context, prefix = _context(request), request.query.get("subjectPrefix", "")
        return answer(request, await self._read(lambda connection: queries.subject_names(connection, context, prefix, _filter(request))))

    async def versions(self, request: web.Request) -> web.StreamResponse:
        subject = _subject(request)

        def find(connection: Connection) -> list[int]:
            return queries.version_numbers(connection, settings.resolve(connection, subject), _filter(request))

        return answer(request, await self._read(find))

    async def version(self, request: web.Request) -> web.StreamResponse:
        found, text, _ = await self._one(request)
        more = {"deleted": found.deleted} if flag(request, "deleted") else {}
        return answer(request, _described(found._replace(text=text)) | more)

    async def text(self, request: web.Request) -> web.StreamResponse:
        return answer(request, (await self._one(request))[1].encode())

    async def referenced_by(self, request: web.Request) -> web.StreamResponse:
        subject, wanted = _subject(request), _version(request)

        def find(connection: Connection) -> list[int]:
            named = settings.resolve(connection, subject)
            found = queries.one_version(connection, named, wanted, deleted=flag(request, "deleted"))
            return subjects.referring(connection, named, found.version)

        return answer(request, _filter(request).page(await self._read(find)))

    async def by_metadata(self, request: web.Request) -> web.StreamResponse:
        """The newest version whose metadata have these properties, or the metadata of the newest of all."""
        subject, deleted = _subject(request), flag(request, "deleted")
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

        version = await self._read(find)
        return answer(request, _described(version) if wanted else version.metadata or {})

    async def look_up(self, request: web.Request) -> web.StreamResponse:
        subject, sent = _subject(request), forms.sent(await body_of(request))
        normalize, deleted = flag(request, "normalize"), flag(request, "deleted") or flag(request, "lookupDeletedSubject")

        def find(connection: Connection) -> Version:
            named = settings.resolve(connection, subject)
            return register.look_up(connection, named, sent, normalize=normalize, deleted=deleted)

        return answer(request, _described(await self._read(find)))

    async def register(self, request: web.Request) -> web.StreamResponse:
        subject, caller = _subject(request), await self._caller(request)
        sent = forms.sent(await body_of(request))
        asked = register.Asked(caller, _byline(request, caller), subject, sent, flag(request, "normalize"))
        event = catalogue_subjects.event_of(subject)
        if event is not None:
            return answer(request, {"id": await self._declared.register(asked, event, self._database.reading)})
        return answer(request, {"id": await asyncio.to_thread(self._registrar.register, asked)})

    async def compatible(self, request: web.Request) -> web.StreamResponse:
        subject, wanted = _subject(request), _version(request) if "version" in request.match_info else None
        sent, normalize = forms.sent(await body_of(request)), flag(request, "normalize")

        def check(connection: Connection) -> list[str]:
            named = settings.resolve(connection, subject)
            rules, found = settings.rules(connection, named), subjects.live(subjects.versions(connection, named))
            refs = references.settled(connection, sent.references, named.context)
            scene = register.Scene(named, rules, found, refs, references.used(connection, refs, named.context), 0)
            schema = register.schema_of(scene, sent, normalize)
            if wanted is not None and (found or wanted != queries.LATEST):
                found = [version for version in found if version.version == wanted] if wanted != queries.LATEST else found[-1:]
                if not found:
                    raise errors.no_version(wanted)
            return compat.problems(rules, schema, sent.metadata, found, register.reader(connection, named.context))

        problems = await self._read(check)
        more = {"messages": problems} if flag(request, "verbose") else {}
        return answer(request, {"is_compatible": not problems, **more})

    async def delete_subject(self, request: web.Request) -> web.StreamResponse:
        subject, by = _subject(request), await self._writer(request)
        permanent = flag(request, "permanent")

        def delete(connection: Connection) -> list[int]:
            return removal.subject(connection, settings.resolve(connection, subject), by, permanent=permanent)

        return answer(request, await self._write(delete))

    async def delete_version(self, request: web.Request) -> web.StreamResponse:
        subject, wanted, by = _subject(request), _version(request), await self._writer(request)
        permanent = flag(request, "permanent")

        def delete(connection: Connection) -> int:
            return removal.version(connection, settings.resolve(connection, subject), wanted, by, permanent=permanent)

        return answer(request, await self._write(delete))

    async def get_config(self, request: web.Request) -> web.StreamResponse:
        named, inherited = _place_of_settings(request), flag(request, "defaultToGlobal")
        return answer(request, await self._read(lambda connection: config.get(connection, named, inherited=inherited)))

    async def put_config(self, request: web.Request) -> web.StreamResponse:
        named, by, body = _place_of_settings(request), await self._writer(request), await body_of(request)
        return answer(request, await self._write(lambda connection: config.put(connection, named, body, by)))

    async def delete_config(self, request: web.Request) -> web.StreamResponse:
        named, by = _place_of_settings(request), await self._writer(request)
        return answer(request, await self._write(lambda connection: config.delete(connection, named, by)))

    async def get_mode(self, request: web.Request) -> web.StreamResponse:
        named, inherited = _place_of_settings(request), flag(request, "defaultToGlobal")
        return answer(request, await self._read(lambda connection: mode.get(connection, named, inherited=inherited)))

    async def put_mode(self, request: web.Request) -> web.StreamResponse:
        named, by, body = _place_of_settings(request), await self._writer(request), await body_of(request)
        force = flag(request, "force")
        return answer(request, await self._write(lambda connection: mode.put(connection, named, body, by, force=force)))

    async def delete_mode(self, request: web.Request) -> web.StreamResponse:
        named, by = _place_of_settings(request), await self._writer(request)
        return answer(request, await self._write(lambda connection: mode.delete(connection, named, by)))

    async def _one(self, request: web.Request) -> tuple[Version, str, Subject]:
        subject, wanted, deleted = _subject(request), _version(request), flag(request, "deleted")

        def find(connection: Connection) -> tuple[Version, str, Subject]:
            named = settings.resolve(connection, subject)
            found = queries.one_version(connection, named, wanted, deleted=deleted)
            return found, queries.text_of(connection, named.context, found, request.query.get("format", "")), named

        return await self._read(find)

    async def _holders(self, request: web.Request) -> list[Version]:
        context, wanted, subject = _context(request), _id(request), request.query.get("subject", "")
        return await self._read(lambda connection: queries.holders(connection, context, wanted, subject, deleted=flag(request, "deleted")))

    async def _caller(self, request: web.Request) -> access.Caller:
        return await asyncio.to_thread(self._door.caller, request.headers.get("Authorization", ""))

    async def _writer(self, request: web.Request) -> Byline:
        caller = await self._caller(request)
        self._door.check_write(caller)
        return _byline(request, caller)

    async def _read(self, step: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._database.reading() as connection:
                return step(connection)

        return await asyncio.to_thread(run)

    async def _write(self, step: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._database.writing() as connection:
                return step(connection)

        return await asyncio.to_thread(run)


def _context(request: web.Request) -> str:
    found = context_named(request.match_info["context"]) if "context" in request.match_info else DEFAULT
    if found == GLOBAL:
        raise errors.not_permitted(f"The context {GLOBAL} holds settings only, no schemas")
    return found


def _subject(request: web.Request) -> Subject:
    return subject_named(request.match_info["subject"], _context(request))


def _place_of_settings(request: web.Request) -> Subject:
    context = context_named(request.match_info["context"]) if "context" in request.match_info else DEFAULT
    return subject_named(request.match_info["subject"], context) if "subject" in request.match_info else Subject(context, "", "")


def _id(request: web.Request) -> int:
    found = request.match_info["id"]
    if not (found.isascii() and found.isdigit() and len(found) < 11 and int(found) < 2**31):
        raise errors.FaceError(404, 404, "HTTP 404 Not Found")
    return int(found)


def _version(request: web.Request) -> int:
    found = request.match_info["version"]
    if found in ("latest", "-1"):
        return queries.LATEST
    if not (found.isascii() and found.isdigit() and len(found) < 11 and 1 <= int(found) < 2**31):
        raise errors.invalid_version(found)
    return int(found)


def _filter(request: web.Request) -> Filter:
    return Filter(flag(request, "deleted"), flag(request, "deletedOnly"), number(request, "offset", 0), number(request, "limit", -1))


def _byline(request: web.Request, caller: access.Caller) -> Byline:
    author = request.headers.get("Hourmark-Author", caller.name).encode("utf-8", "replace").decode()
    return Byline(author[:200], request.headers.get("Hourmark-Message", "")[:1000].encode("utf-8", "replace").decode())


def _described(version: Version) -> dict[str, Any]:
    return {**_place(version), "schemaType": version.kind, "schema": version.text, **_extras(version)}


def _place(version: Version) -> dict[str, Any]:
    return {"subject": version.subject, "id": version.id, "version": version.version}


def _extras(version: Version) -> dict[str, Any]:
    found = {
        "references": [reference.json() for reference in version.references],
        "metadata": version.metadata,
        "ruleSet": version.rules,
    }
    return {name: value for name, value in found.items() if value}
