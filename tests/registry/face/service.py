"""A face of a test's own: on a database, without Kafka. What goes through the catalogue is stored at once, and never broadcast."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from hourmark.serving import AppRunner
from registry.catalog import Catalog
from registry.database import Database
from registry.document import MAX_BYTES
from registry.face.routes import Face
from registry.face.speech import speaking
from registry.history import History
from registry.outbox import Publisher
from registry.provision import Provisioned, Provisioner, Wanted
from registry.store import Store
from registry.web import answered
from tests.registry.service import Client


class NoTopics(Provisioner):
    """Topics are there as soon as they are wanted."""

    def __init__(self) -> None:
        pass

    def all_event_topics(self, wanted: Iterable[Wanted]) -> dict[str, Provisioned | Exception]:
        return {one.event: Provisioned(one.partitions, raw_created=False) for one in wanted}


class Unheard(Publisher):
    """Takes everything for published."""

    def __init__(self) -> None:
        pass

    async def committed(self, revision: int) -> None:
        pass

    async def wait_published(self, revision: int, timeout: float) -> None:
        pass


class Serving:
    """`url`, `client`, and what is behind them."""

    def __init__(self, url: str, client: Client, store: Store, catalog: Catalog) -> None:
        self.url, self.client, self.store, self.catalog = url, client, store, catalog


@asynccontextmanager
async def serving(where: Path | str, **more: Any) -> AsyncIterator[Serving]:
    """A face on `where`: a folder for a SQLite file, or a database URL. `more`: admin_token, auto_register."""
    database = Database(where if isinstance(where, str) else f"sqlite:///{where / 'registry.db'}")
    database.migrate()
    store = Store(database)
    catalog = Catalog(store, History(database), NoTopics(), Unheard())
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
