"""The registry as one object: `async with Registry(settings) as registry: registry.url`.

Reads are served from the first moment on; writes wait for Kafka. Owns the order of start and stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

import structlog
from aiohttp import web

from hourmark.errors import BrokerUnavailable, InvariantBroken, NotAllowed, RegistryUnavailable, Unavailable
from hourmark.metrics import MetricsPage, listen_address, render
from hourmark.runtime import until_signal
from hourmark.serving import AppRunner
from hourmark.why_away import WhyAway

from .api import Api
from .canary import make_sure
from .catalog import Catalog
from .database import Database
from .document import MAX_BYTES
from .face.routes import Face
from .face.speech import speaking
from .history import History
from .history_api import HistoryApi
from .keys import WriteKeys
from .keys_api import KeysApi
from .nodes import Nodes
from .outbox import Publisher
from .provision import Provisioner
from .recovery import recover, settle
from .refused_writes import audited
from .rows import StoredEvent
from .settings import Settings
from .store import Store
from .web import answer, answered, guarded, measured, named, refusal

log = structlog.get_logger()

RETRY_S = 1.0
SLOW_RETRY_S = 10.0
SLICE = 100  # event types


class Registry:
    """Wires store, provisioner, publisher and HTTP server. `url` is known once entered; `ready()` waits until Kafka agrees."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = ""
        self._ready = asyncio.Event()
        self._reason = "starting"
        self._work: asyncio.Task[None] | None = None
        self._runner: AppRunner | None = None
        self._page: MetricsPage | None = None

    async def __aenter__(self) -> Registry:
        self._database = await asyncio.to_thread(Database, self.settings.database)
        try:
            await self._migrate()
            store = self._store = Store(self._database)
            self._provisioner = Provisioner(self.settings)
            self._publisher = Publisher(self.settings, store)
            await self._publisher.load()
            careful, history = self.settings.require_if_match, History(self._database)
            self._catalog = Catalog(store, history, self._provisioner, self._publisher, careful=careful)
            self._keys = WriteKeys(store, self._provisioner, self._publisher, careful=careful)
            self._nodes = Nodes(self.settings)
            api = Api(store, self._catalog, self._publisher, self._nodes)
            await self._listen(api, KeysApi(store, self._keys), HistoryApi(history), self._face(store))
        except BaseException:
            self._database.close()
            raise
        self._work = asyncio.create_task(self._run(), name="registry")
        self._page = MetricsPage(self.settings, self.not_ready)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # what ended it has been raised by `run`
                await self._work
        if self._page is not None:
            self._page.close()
        await asyncio.to_thread(self._close)

    async def _migrate(self) -> None:
        """Waits for a database server, as for Kafka, with one line."""
        told = False
        while True:
            try:
                return await asyncio.to_thread(self._database.migrate)
            except RegistryUnavailable as exc:
                if not self._database.shared:
                    raise
                if not told:
                    log.warning("waiting for the database", message=exc.message)
                    told = True
                await asyncio.sleep(RETRY_S)

    def not_ready(self) -> str | None:
        """Why it cannot take changes now; None when it can."""
        return self._publisher.trouble or None if self._ready.is_set() else self._reason

    async def ready(self, timeout: float = 60.0) -> None:
        """Wait until the platform topics stand and the outbox flows. Raises TimeoutError, or what ended the work."""
        assert self._work is not None
        waiting = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({waiting, self._work}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._work.done():
            await self._work
        if not self._ready.is_set():
            raise TimeoutError(f"the registry is not ready after {timeout:.0f} s: {self._reason}")

    async def run(self) -> None:
        """Serve until a signal, or until the work behind the API fails; then raises what ended it."""
        assert self._work is not None
        signalled = asyncio.create_task(until_signal())
        done, _ = await asyncio.wait({signalled, self._work}, return_when=asyncio.FIRST_COMPLETED)
        if self._work in done:
            signalled.cancel()
            await self._work
        log.info("stopping")

    async def _run(self) -> None:
        standing = await self._begin()
        self._nodes.start()
        self._ready.set()
        log.info("ready", url=self.url)
        configuring = asyncio.create_task(self._configure(standing), name="configure")
        canary = asyncio.create_task(make_sure(self.settings, self._store, self._catalog, self._keys), name="canary")
        try:
            await self._publisher.run()
        finally:
            configuring.cancel()
            canary.cancel()

    async def _configure(self, standing: list[StoredEvent]) -> None:
        """Look at the topics that stood before us and put right what is wrong; of thousands that takes its time."""
        for start in range(0, len(standing), SLICE):
            while True:
                try:
                    await asyncio.to_thread(settle, self._store, self._provisioner, standing[start : start + SLICE])
                    break
                except Unavailable as exc:
                    log.warning("the configuration of topics cannot be looked at; trying again", message=exc.message)
                    await asyncio.sleep(SLOW_RETRY_S)
                except InvariantBroken as exc:
                    log.error("the configuration of topics cannot be put right", code=exc.code, message=exc.message)
                    return

    async def _begin(self) -> list[StoredEvent]:
        """Everything Kafka must have before the first change: waits for it, with one line per reason. Returns the topics that stood."""
        why, told = WhyAway(self.settings), set[str]()
        while True:
            try:
                standing, self._catalog.sources = await asyncio.to_thread(recover, self.settings, self._store, self._provisioner)
                break
            except Unavailable as exc:
                away = isinstance(exc, BrokerUnavailable) and not isinstance(exc, NotAllowed)
                self._reason = (await asyncio.to_thread(why) if away else "") or exc.message
                if self._reason not in told:
                    log.warning("waiting for Kafka; reads are served meanwhile", code=exc.code, message=self._reason)
                told.add(self._reason)
                await asyncio.sleep(RETRY_S)
        secret = self.settings.local_write_key.get_secret_value()
        if secret:
            await self._keys.make_sure("local", secret, ("*",))
        await self._publisher.load()
        return standing

    def _face(self, store: Store) -> Face:
        token, auto = self.settings.admin_token.get_secret_value(), self.settings.auto_register
        return Face(self._database, store, self._catalog, admin_token=token, auto_register=auto)

    async def _listen(self, api: Api, keys: KeysApi, history: HistoryApi, face: Face) -> None:
        token = self.settings.admin_token.get_secret_value()
        middlewares = [named, measured, answered, audited(History(self._database)), speaking, guarded(token)]
        app = web.Application(client_max_size=MAX_BYTES, middlewares=middlewares)
        app.add_routes([*api.routes(), *keys.routes(), *history.routes(), *face.routes()])
        app.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)])
        self._runner = AppRunner(app, access_log=None, shutdown_timeout=5.0)
        await self._runner.setup()
        host, port = listen_address(self.settings.listen)
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as exc:
            raise Unavailable(f"cannot listen on {self.settings.listen}: {exc.strerror}; set HOURMARK_REGISTRY_LISTEN") from exc
        taken = self._runner.addresses[0]
        self.url = f"http://{host}:{taken[1]}"

    async def _healthz(self, _request: web.Request) -> web.Response:
        return answer({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        reason = self.not_ready()
        if reason is not None:
            return refusal(503, "not_ready", reason)
        return answer({"status": "ready", "revision": self._publisher.published})

    async def _metrics(self, _request: web.Request) -> web.Response:
        body, kind = render()
        return web.Response(body=body, headers={"Content-Type": kind})

    def _close(self) -> None:
        self._nodes.close()
        self._publisher.close()
        self._provisioner.close()
        self._database.close()
