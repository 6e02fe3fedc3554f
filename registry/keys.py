"""Write keys: who may send. The secret is told once, to who asks for it; what is kept and broadcast is its digest."""

from __future__ import annotations

import asyncio
import secrets

from hourmark.schemas import WriteKey, token_digest

from .catalog import PUBLISH_S
from .expected import Expected
from .history import ITSELF, Byline, Record
from .outbox import Publisher
from .provision import Provisioner
from .refusal import refuse
from .rows import Stale, StoredKey
from .store import Store


class WriteKeys:
    """All changes of write keys. `careful`: as in the catalogue."""

    def __init__(self, store: Store, provisioner: Provisioner, publisher: Publisher, *, careful: bool = False) -> None:
        self._store, self._provisioner, self._publisher, self._careful = store, provisioner, publisher, careful

    async def put(self, name: str, types: tuple[str, ...], expected: Expected, byline: Byline) -> tuple[str, int, bool]:
        """A new secret for the write key of this name. Returns it, the revision, and whether the name is new. Raises Refused."""
        await asyncio.to_thread(self._provisioner.probe)
        token = f"hm_{secrets.token_urlsafe(24)}"
        key = WriteKey(revision=0, name=name, token_sha256=token_digest(token), types=types)
        revision, created = await self._keep(key, byline, expected)
        await self._publisher.wait_published(revision, PUBLISH_S)
        return token, revision, created

    async def make_sure(self, name: str, token: str, types: tuple[str, ...]) -> None:
        """Make sure of a write key of the settings: store this secret under this name, unless it stands there already."""
        key = WriteKey(revision=0, name=name, token_sha256=token_digest(token), types=types)
        known = await asyncio.to_thread(self._store.key, name)
        if known is None or (known.token_sha256, tuple(known.types)) != (key.token_sha256, types):
            await self._keep(key, Byline(ITSELF, "the write key of the settings"))

    async def _keep(self, key: WriteKey, byline: Byline, expected: Expected | None = None) -> tuple[int, bool]:
        while True:
            known = await asyncio.to_thread(self._look, key.name, expected)
            said = Record("put_key", f"key/{key.name}", byline, detail={"types": list(key.types), "new": known is None})
            try:
                revision = await asyncio.to_thread(self._store.put_key, key, said, known.revision if known else None)
            except Stale:
                continue
            await self._publisher.committed(revision)
            return revision, known is None

    async def delete(self, name: str, expected: Expected, byline: Byline) -> int:
        """Take a write key away; returns the revision of that. Raises Refused (404, 412)."""
        while True:
            known = await asyncio.to_thread(self._look, name, expected)
            if known is None:
                raise refuse(404, "unknown_key", f"there is no write key {name!r:.100}", "GET /v1/keys lists them")
            await asyncio.to_thread(self._provisioner.probe)
            try:
                said = Record("delete_key", f"key/{name}", byline)
                revision = await asyncio.to_thread(self._store.delete_key, name, said, known.revision)
            except Stale:
                continue
            await self._publisher.committed(revision)
            await self._publisher.wait_published(revision, PUBLISH_S)
            return revision

    def _look(self, name: str, expected: Expected | None) -> StoredKey | None:
        known = self._store.key(name)
        if expected is not None:
            expected.check(known.revision if known else 0, careful=self._careful)
        return known
