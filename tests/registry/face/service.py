"""A face of a test's own: on a database, without Kafka. What goes through the catalogue is stored at once, and never broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from hourmark.serving import AppRunner
from registry.catalog import Declared, draft
from registry.database import Database
from registry.declaration import read
from registry.document import MAX_BYTES
from registry.expected import Expected
from registry.face.routes import Face
from registry.face.speech import speaking
from registry.history import Byline
from registry.provision import Provisioned
from registry.store import Store
from registry.web import answered
from tests.registry.service import Client


class StoreOnly:
    """Declares without topics and without broadcast; `refuse`: raised by the next declarations."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refuse: list[Exception] = []

    async def declare(self, document: object, expected: Expected, byline: Byline) -> Declared:
        if self.refuse:
            raise self.refuse.pop(0)
        declaration = read(document)
        current = self._store.event(declaration.event)
        expected.check(current.revision if current else 0, careful=False)
        stands = Provisioned(4, raw_created=False)
        stored = await asyncio.to_thread(self._store.commit, draft(declaration, current, stands, byline))
        return Declared(stored, current is None, True, [])


class Serving:
    """`url`, `client`, and what is behind them."""

    def __init__(self, url: str, client: Client, store: Store, catalog: StoreOnly) -> None:
        self.url, self.client, self.store, self.catalog = url, client, store, catalog


@asynccontextmanager
async def serving(where: Path | str, **more: Any) -> AsyncIterator[Serving]:
    """A face on `where`: a folder for a SQLite file, or a database URL. `more`: admin_token, auto_register."""
    database = Database(where if isinstance(where, str) else f"sqlite:///{where / 'registry.db'}")
    database.migrate()
    store = Store(database)
    catalog = StoreOnly(store)
    app = web.Application(client_max_size=MAX_BYTES, middlewares=[answered, speaking])
    app.add_routes(Face(database, store, catalog, **more).routes())
    runner = AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with Client(url) as client:
            yield Serving(url, client, store, catalog)
    finally:
        await runner.cleanup()
        database.close()
