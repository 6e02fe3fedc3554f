"""The face of a Confluent schema registry, reading part: any compatible client finds the schema of a raw or clean record here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from hourmark.topics import clean_topic, is_event_type, raw_topic

from .compile import canonical
from .document import parse_json
from .refusal import Refused
from .store import Store, StoredSchema
from .web import answer, body_of

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_SUFFIX = "-value"
Step = Callable[[web.Request], Awaitable[object]]


class _Missing(Exception):
    """What Confluent clients call an error: a number and a text."""

    def __init__(self, status: int, number: int, message: str) -> None:
        super().__init__(message)
        self.status, self.number = status, number


class ConfluentFace:
    """Subjects are `raw.<type>-value` and `clean.<type>-value`; both hold the versions of the type's wire schema."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        steps: list[tuple[str, str, Step]] = [
            ("GET", "/schemas/types", self.types),
            ("GET", "/schemas/ids/{id}", self.by_id),
            ("GET", "/schemas/ids/{id}/versions", self.versions_of_id),
            ("GET", "/subjects", self.subjects),
            ("GET", "/subjects/{subject}/versions", self.versions),
            ("GET", "/subjects/{subject}/versions/{version}", self.version),
            ("POST", "/subjects/{subject}", self.look_up),
            ("POST", "/subjects/{subject}/versions", self.register),
            ("GET", "/config", self.config),
            ("GET", "/config/{subject}", self.config),
            ("GET", "/mode", self.mode),
        ]
        return [web.route(method, path, _in_their_words(step)) for method, path, step in steps]

    async def types(self, _request: web.Request) -> object:
        return ["AVRO"]

    async def config(self, _request: web.Request) -> object:
        return {"compatibilityLevel": "FULL_TRANSITIVE"}

    async def mode(self, _request: web.Request) -> object:
        return {"mode": "READONLY"}

    async def by_id(self, request: web.Request) -> object:
        return {"schema": (await self._by_id(request)).avro}

    async def versions_of_id(self, request: web.Request) -> object:
        found = await self._by_id(request)
        return [{"subject": subject, "version": found.version} for subject in _subjects(found.event)]

    async def subjects(self, _request: web.Request) -> object:
        names = await asyncio.to_thread(self._store.event_names)
        return sorted(subject for name in names for subject in _subjects(name))

    async def versions(self, request: web.Request) -> object:
        return [schema.version for schema in await self._schemas(request)]

    async def version(self, request: web.Request) -> object:
        found, wanted = await self._schemas(request), request.match_info["version"]
        if wanted not in ("latest", "-1") and not (wanted.isascii() and wanted.isdigit()):
            raise _Missing(422, 42202, f"{wanted!r:.80} is no version: use a number or latest")
        for schema in reversed(found):
            if wanted in ("latest", "-1", str(schema.version)):
                return _described(request, schema)
        raise _Missing(404, 40402, f"there is no version {wanted:.80}")

    async def look_up(self, request: web.Request) -> object:
        return _described(request, await self._same(request))

    async def register(self, request: web.Request) -> object:
        """Known schemas get their id, as serializers ask for it; new ones come only with a declaration."""
        try:
            return {"id": (await self._same(request)).id}
        except _Missing as exc:
            raise _Missing(422, 42201, f"{exc}; declare schemas with PUT /v1/events/<type>") from None

    async def _same(self, request: web.Request) -> StoredSchema:
        found = await self._schemas(request)
        try:
            wanted = parse_json(parse_json(await body_of(request))["schema"].encode())
        except (Refused, KeyError, TypeError, AttributeError, UnicodeEncodeError):
            raise _Missing(422, 42201, 'the body must be {"schema": "<Avro schema as JSON text>"}') from None
        text = await asyncio.to_thread(canonical, wanted)
        for schema in reversed(found):
            if canonical(json.loads(schema.avro)) == text:
                return schema
        raise _Missing(404, 40403, "no version has this schema")

    async def _by_id(self, request: web.Request) -> StoredSchema:
        wanted = request.match_info["id"]
        known = wanted.isascii() and wanted.isdigit() and len(wanted) < 19
        found = await asyncio.to_thread(self._store.schema, int(wanted)) if known else None
        if found is None:
            raise _Missing(404, 40403, f"there is no schema {wanted:.80}")
        return found

    async def _schemas(self, request: web.Request) -> list[StoredSchema]:
        subject = request.match_info["subject"]
        stage, _, rest = subject.partition(".")
        name = rest.removesuffix(_SUFFIX)
        known = stage in ("raw", "clean") and rest.endswith(_SUFFIX) and is_event_type(name)
        found = await asyncio.to_thread(self._store.schemas_of, name) if known else []
        if not found:
            raise _Missing(404, 40401, f"there is no subject {subject!r:.150}; subjects are raw.<type>-value and clean.<type>-value")
        return found


def _in_their_words(step: Step) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            body, status = await step(request), 200
        except _Missing as exc:
            body, status = {"error_code": exc.number, "message": str(exc)}, exc.status
        response = answer(body, status)
        response.content_type = CONTENT_TYPE
        return response

    return handler


def _described(request: web.Request, schema: StoredSchema) -> dict[str, object]:
    return {"subject": request.match_info["subject"], "id": schema.id, "version": schema.version, "schema": schema.avro}


def _subjects(event: str) -> tuple[str, str]:
    return raw_topic(event) + _SUFFIX, clean_topic(event) + _SUFFIX
