"""The registry's own HTTP API, contracts.md §4."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import msgspec
from aiohttp import web

from hourmark.topics import is_event_type

from .catalog import Catalog
from .nodes import Nodes
from .outbox import Publisher
from .refusal import Problem, Refused
from .store import Store, StoredEvent
from .web import answer, document_of, expected, number, seconds, shaped, text

WAIT_MOST_S = 60.0
POLL_MOST_S = 30.0
LIST_MOST = 10_000
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_PATTERN = re.compile(r"[a-z0-9_.*?]{1,100}")


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /v1/keys/{name}`: event types as shell-style patterns."""

    types: list[str] = msgspec.field(default_factory=lambda: ["*"])


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
            web.get("/v1/keys", self.list_keys),
            web.put("/v1/keys/{name}", self.put_key),
            web.delete("/v1/keys/{name}", self.delete_key),
            web.get("/v1/nodes", self.list_nodes),
            web.get("/v1/control", self.control),
        ]

    async def list_events(self, request: web.Request) -> web.Response:
        limit = max(1, number(request, "limit", 1000, LIST_MOST))
        found = await asyncio.to_thread(self._store.events_after, text(request, "after"), limit + 1, text(request, "q"))
        following = found[limit - 1]["event"] if len(found) > limit else None
        return answer({"events": found[:limit], "next": following})

    async def get_event(self, request: web.Request) -> web.Response:
        stored = await self._event(request)
        tag = f'"{stored.revision}"'
        asked = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
        if tag in asked or "*" in asked:
            return web.Response(status=304, headers={"ETag": tag})
        schema = await asyncio.to_thread(self._store.schema, stored.schema_id)
        body = {
            "event": stored.event,
            "revision": stored.revision,
            "declaration": stored.document,
            "schema_id": stored.schema_id,
            "schema_version": stored.schema_version,
            "partitions": stored.partitions,
            "source": stored.source,
            "wire_schema": json.loads(schema.avro) if schema else None,
        }
        return answer(body, headers={"ETag": tag})

    async def put_event(self, request: web.Request) -> web.Response:
        started = time.monotonic()
        wait = seconds(request, "wait", WAIT_MOST_S)
        document = await self._document(request)
        author = request.headers.get("Hourmark-Author", "")[:200].encode("utf-8", "replace").decode()
        declared = await self._catalog.declare(document, expected(request), author)
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
        if wait is not None:
            complete, applied = await self._nodes.wait_applied(stored.revision, started, wait)
            body["nodes"] = [node._asdict() for node in applied]
            body["waited"] = "complete" if complete else "timeout"
        return answer(body, 201 if declared.created else 200, {"ETag": f'"{stored.revision}"'})

    async def check_event(self, request: web.Request) -> web.Response:
        return answer(await asyncio.to_thread(self._catalog.check, await self._document(request)))

    async def get_schema(self, request: web.Request) -> web.Response:
        stored = await self._event(request)
        wanted = request.match_info.get("version", str(stored.schema_version))
        versions = {str(schema.version): schema for schema in await asyncio.to_thread(self._store.schemas_of, stored.event)}
        found = versions.get(wanted)
        if found is None:
            raise Refused(404, "unknown_version", f"{stored.event} has the schema versions {', '.join(versions)}")
        body = {"event": found.event, "version": found.version, "schema_id": found.id, "fingerprint": found.fingerprint}
        return answer({**body, "schema": json.loads(found.avro)})

    async def list_keys(self, _request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._store.write_keys)
        return answer({"keys": [{"name": key.name, "types": key.types, "revision": key.revision} for key in found]})

    async def put_key(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not _KEY_NAME.fullmatch(name):
            raise Refused(400, "invalid_key_name", "a key's name has lower case letters, digits and _ . -, at most 63 characters")
        types = shaped(await document_of(request) if request.can_read_body else {}, KeyRequest).types
        if not 1 <= len(types) <= 100 or not all(_PATTERN.fullmatch(pattern) for pattern in types):
            raise Refused(400, "invalid_body", "types must be 1 to 100 names of event types, in which * and ? stand for anything")
        token, revision, created = await self._catalog.put_key(name, tuple(types))
        return answer({"name": name, "key": token, "types": types, "revision": revision, "created": created}, 201 if created else 200)

    async def delete_key(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return answer({"name": name, "revision": await self._catalog.delete_key(name), "deleted": True})

    async def list_nodes(self, _request: web.Request) -> web.Response:
        nodes = []
        for name, node in sorted(self._nodes.known.items()):
            facts = {"node": name, "room": node.report.room, "revision": node.report.revision, "live": node.live}
            times = {"applied_at": node.report.applied_at, "started_at": node.report.started_at, "heard_at": node.heard_at}
            nodes.append(facts | times)
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
            raise Refused(404, "unknown_event_type", f"{name!r:.120} is not declared")
        return stored

    async def _document(self, request: web.Request) -> Any:
        """The declaration in the body; its event type may be left to the path, but not differ from it."""
        document, name = await document_of(request), request.match_info["type"]
        if isinstance(document, dict) and document.setdefault("event", name) != name:
            told = f"the path says {name!r:.120}, the declaration {str(document['event'])!r:.120}"
            raise Refused(400, "invalid_declaration", told, [Problem("/event", "event_name", told, "write the same name in both")])
        return document
