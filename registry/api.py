"""The registry's own HTTP API, contracts.md §4."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec
from aiohttp import web

from hourmark.topics import is_event_type

from .catalog import Catalog
from .declaration import retention
from .history_api import unknown_event
from .nodes import Nodes
from .outbox import Publisher
from .privacy import private_fields
from .propagation import Settled, followed
from .refusal import Problem, Refused, refuse
from .rows import StoredEvent, StoredSchema
from .store import Store
from .web import answer, byline, document_of, expected, number, seconds, tagged, text

WAIT_MOST_S = 60.0
POLL_MOST_S = 30.0
LIST_MOST = 10_000


class Api:
    """Handlers; each reads the store or asks the catalogue, and answers."""

    def __init__(self, store: Store, catalog: Catalog, publisher: Publisher, nodes: Nodes) -> None:
        self._store, self._catalog, self._publisher, self._nodes = store, catalog, publisher, nodes

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/events", self.list_events),
            web.get("/v1/events/{type}", self.get_event),
            web.put("/v1/events/{type}", self.put_event),
            web.post("/v1/events/{type}/check", self.check_event),
            web.get("/v1/events/{type}/schema", self.get_schema),
            web.get("/v1/events/{type}/schema/{version}", self.get_schema),
            web.get("/v1/nodes", self.list_nodes),
            web.get("/v1/control", self.control),
        ]

    async def list_events(self, request: web.Request) -> web.Response:
        limit = max(1, number(request, "limit", 1000, LIST_MOST))
        after, q = text(request, "after"), text(request, "q")
        found = await asyncio.to_thread(self._store.events_after, after, limit + 1, q)
        following = found[limit - 1]["event"] if len(found) > limit else None
        return tagged(request, {"events": found[:limit], "next": following})

    async def get_event(self, request: web.Request) -> web.Response:
        """What is declared, and what follows from it."""
        stored = await self._event(request)
        schema = await asyncio.to_thread(self._store.schema, stored.schema_id)
        return tagged(request, _described(stored, schema), stored.revision)

    async def put_event(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        wait = seconds(request, "wait", WAIT_MOST_S)
        document = await self._document(request)
        declared = await self._catalog.declare(document, expected(request), byline(request))
        stored = declared.stored
        body: dict[str, Any] = {
            "event": stored.event,
            "revision": stored.revision,
            "schema_id": stored.schema_id,
            "schema_version": stored.schema_version,
            "created": declared.created,
            "changed": declared.changed,
            "stages": [stage._asdict() for stage in declared.stages],
        }
        settled = Settled(body, 201 if declared.created else 200, {"ETag": f'"{stored.revision}"'})
        if wait is not None:
            return await followed(request, settled, self._nodes.follow(stored.revision, started, wait))
        return answer(*settled)

    async def check_event(self, request: web.Request) -> web.Response:
        return answer(await asyncio.to_thread(self._catalog.check, await self._document(request)))

    async def get_schema(self, request: web.Request) -> web.Response:
        stored = await self._event(request)
        wanted = request.match_info.get("version", str(stored.schema_version))
        versions = {str(schema.version): schema for schema in await asyncio.to_thread(self._store.schemas_of, stored.event)}
        found = versions.get(wanted)
        if found is None:
            told = f"{stored.event} has no schema version {wanted:.40}"
            raise refuse(404, "unknown_version", told, f"there are {', '.join(versions)}")
        body = {"event": found.event, "version": found.version, "schema_id": found.id, "fingerprint": found.fingerprint}
        return tagged(request, {**body, "schema": json.loads(found.avro)}, found.id)

    async def list_nodes(self, _request: web.Request) -> web.Response:
        nodes = []
        for name, node in sorted(self._nodes.known.items()):
            facts = {"node": name, "room": node.report.room, "revision": node.report.revision, "live": node.live}
            times = {"applied_at": node.report.applied_at, "started_at": node.report.started_at, "heard_at": node.heard_at}
            says = {"trouble": node.report.trouble, "not_ready": node.report.not_ready, "version": node.report.version}
            nodes.append(facts | times | says)
        return answer({"revision": self._publisher.stored, "nodes": nodes})

    async def control(self, request: web.Request) -> web.Response:
        """Everything that changed after revision `since`, as on the control topic; waits up to `timeout` for the first change."""
        since = number(request, "since", 0, 2**62)
        wait = seconds(request, "timeout", POLL_MOST_S)
        if wait:
            await self._publisher.wait_stored(since, wait)
        rows = await asyncio.to_thread(self._store.changes, since)
        body = {
            "revision": max([since, *(row.revision for row in rows)]),
            "entries": [msgspec.Raw(row.value) for row in rows if row.value is not None],
            "deleted": [row.key for row in rows if row.value is None],
        }
        return answer(body)

    async def _event(self, request: web.Request) -> StoredEvent:
        name = request.match_info["type"]
        stored = await asyncio.to_thread(self._store.event, name) if is_event_type(name) else None
        if stored is None:
            raise unknown_event(name)
        return stored

    async def _document(self, request: web.Request) -> Any:
        """The declaration in the body; its event type may be left to the path, but not differ from it."""
        document, name = await document_of(request), request.match_info["type"]
        if isinstance(document, dict) and document.setdefault("event", name) != name:
            told = f"the path says {name!r:.120}, the declaration {str(document['event'])!r:.120}"
            raise Refused(400, "invalid_declaration", told, [Problem("/event", "event_name", told, "write the same name in both")])
        return document


def _described(stored: StoredEvent, schema: StoredSchema | None) -> dict[str, Any]:
    return {
        "event": stored.event,
        "revision": stored.revision,
        "declaration": stored.document,
        "schema_id": stored.schema_id,
        "schema_version": stored.schema_version,
        "partitions": stored.partitions,
        "source": stored.source,
        "private": private_fields(stored.document),
        "retention": retention(stored.document),
        "wire_schema": json.loads(schema.avro) if schema else None,
    }
