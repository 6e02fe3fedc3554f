"""Write keys over HTTP, contracts.md §4. A secret stands in the one answer to the PUT that made it, and nowhere else."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from aiohttp import web

from .keys import WriteKeys
from .refusal import refuse
from .rows import StoredKey
from .store import Store
from .web import answer, byline, document_of, expected, shaped, tagged

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_PATTERN = re.compile(r"[a-z0-9_.*?]{1,100}")


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /v1/keys/{name}`: event types as shell-style patterns."""

    types: list[str] = msgspec.field(default_factory=lambda: ["*"])


class KeysApi:
    """Handlers."""

    def __init__(self, store: Store, keys: WriteKeys) -> None:
        self._store, self._keys = store, keys

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/keys", self.list_keys),
            web.get("/v1/keys/{name}", self.get_key),
            web.put("/v1/keys/{name}", self.put_key),
            web.delete("/v1/keys/{name}", self.delete_key),
        ]

    async def list_keys(self, request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._store.write_keys)
        return tagged(request, {"keys": [_described(key) for key in found]})

    async def get_key(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = await asyncio.to_thread(self._store.key, name) if _NAME.fullmatch(name) else None
        if found is None:
            raise refuse(404, "unknown_key", f"there is no write key {name!r:.100}", "GET /v1/keys lists them")
        return tagged(request, _described(found), found.revision)

    async def put_key(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not _NAME.fullmatch(name):
            told = f"{name!r:.100} is no name of a key"
            raise refuse(400, "invalid_key_name", told, "use lower case letters, digits and _ . -, at most 63 characters")
        types = shaped(await document_of(request) if request.can_read_body else {}, KeyRequest).types
        if not 1 <= len(types) <= 100 or not all(_PATTERN.fullmatch(pattern) for pattern in types):
            told = "types must be 1 to 100 names of event types, in which * and ? stand for anything"
            raise refuse(400, "invalid_body", told, "write them like player.* or player.song_played", "/types")
        token, revision, created = await self._keys.put(name, tuple(types), expected(request), byline(request))
        body = {"name": name, "key": token, "types": types, "revision": revision, "created": created}
        return answer(body, 201 if created else 200, {"ETag": f'"{revision}"'})

    async def delete_key(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        revision = await self._keys.delete(name, expected(request), byline(request))
        return answer({"name": name, "revision": revision, "deleted": True})


def _described(key: StoredKey) -> dict[str, Any]:
    return {"name": key.name, "types": key.types, "revision": key.revision}
