"""The face as one object: routes over store and catalogue, at the URL root and below `/contexts/<context>`. See docs/schema-registry.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

import hourmark

from ..database import Database
from ..store import Store
from . import access, subjects
from . import requests as asks
from .declared import DeclaredSubjects, Declares
from .reads import Reads
from .requests import Desk
from .speech import answer
from .writes import Dials, Writes

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SLASH = "{slash:/?}"


class Face:
    """A Confluent-compatible registry. `admin_token` empty: everybody may write."""

    def __init__(self, database: Database, store: Store, catalog: Declares, *, admin_token: str = "", auto_register: bool = False) -> None:
        door = access.Access(store, admin_token, auto_register=auto_register)
        self._desk = Desk(database, door)
        declared = DeclaredSubjects(store, catalog, door)
        self._reads, self._dials = Reads(self._desk, declared), Dials(self._desk)
        self._writes = Writes(self._desk, database, declared)

    def routes(self) -> list[web.RouteDef]:
        reads, writes, dials = self._reads, self._writes, self._dials
        steps: list[tuple[str, str, Step]] = [
            ("GET", "/schemas/types", reads.types),
            ("GET", "/schemas", reads.schemas),
            ("GET", "/schemas/ids/{id}", reads.by_id),
            ("GET", "/schemas/ids/{id}/schema", reads.text_by_id),
            ("GET", "/schemas/ids/{id}/subjects", reads.subjects_of_id),
            ("GET", "/schemas/ids/{id}/versions", reads.versions_of_id),
            ("GET", "/subjects", reads.subjects),
            ("POST", "/subjects/{subject}", reads.look_up),
            ("DELETE", "/subjects/{subject}", writes.delete_subject),
            ("GET", "/subjects/{subject}/metadata", reads.by_metadata),
            ("GET", "/subjects/{subject}/versions", reads.versions),
            ("POST", "/subjects/{subject}/versions", writes.register),
            ("GET", "/subjects/{subject}/versions/{version}", reads.version),
            ("DELETE", "/subjects/{subject}/versions/{version}", writes.delete_version),
            ("GET", "/subjects/{subject}/versions/{version}/schema", reads.text),
            ("GET", "/subjects/{subject}/versions/{version}/referencedby", reads.referenced_by),
            ("POST", "/compatibility/subjects/{subject}/versions", reads.compatible),
            ("POST", "/compatibility/subjects/{subject}/versions/{version}", reads.compatible),
        ]
        for kind, get, put, drop in (
            ("config", dials.get_config, dials.put_config, dials.delete_config),
            ("mode", dials.get_mode, dials.put_mode, dials.delete_mode),
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

    async def master_available(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"master_available": True}, headers={"Cache-Control": "no-store, no-cache, must-revalidate"})

    async def cluster(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"id": "hourmark", "scope": {"path": [], "clusters": {"schema-registry-cluster": "hourmark"}}})

    async def release(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"version": f"hourmark {hourmark.__version__}", "commitId": ""})

    async def contexts(self, request: web.Request) -> web.StreamResponse:
        return answer(request, await self._desk.read(lambda connection: asks.wanted(request).page(subjects.contexts(connection))))
