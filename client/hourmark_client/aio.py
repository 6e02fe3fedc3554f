"""The same client for asyncio: `send` waits only when the buffer is full, callbacks run in the event loop.

The delivery threads are the synchronous client's; verdicts cross into the loop once per batch. An AsyncClient belongs to the loop that
first used it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from .buffer import Stats
from .client import Client
from .errors import BufferFull, ClientError, Undelivered
from .http import HttpOptions
from .loud import log
from .notices import Held, Notices, run_notices
from .verdicts import OnVerdict, Verdict


class AsyncClient:
    """Wraps a Client, whose settings are those documented there. Use `async with`, or await `close`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        client.hand_over(self._notify, self._room)

    @classmethod
    def http(cls, url: str, *, write_key: str, app: str, options: HttpOptions | None = None, **settings: Any) -> Self:
        """As `Client.http`."""
        return cls(Client.http(url, write_key=write_key, app=app, options=options, **settings))

    @classmethod
    def kafka(cls, bootstrap: str, *, registry: str, app: str, options: Mapping[str, Any] | None = None, **settings: Any) -> Self:
        """As `Client.kafka`."""
        return cls(Client.kafka(bootstrap, registry=registry, app=app, options=options, **settings))

    async def send(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        time: datetime | float | None = None,
        event_id: UUID | str | bytes | None = None,
        on_verdict: OnVerdict | None = None,
    ) -> str:
        """As `Client.send`; with policy "block" it waits for room without blocking the loop. `on_verdict` runs in the loop."""
        held = self._client.prepare(event_type, payload, time, event_id, on_verdict)
        await self._admit(held)
        return held.event_id

    async def submit(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        time: datetime | float | None = None,
        event_id: UUID | str | bytes | None = None,
    ) -> asyncio.Future[Verdict]:
        """Accept one event and return the future of its verdict: `verdict = await (await client.submit(...))`."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def told(verdict: Verdict) -> None:
            if not future.done():
                future.set_result(verdict)

        await self._admit(self._client.prepare(event_type, payload, time, event_id, told))
        return future

    async def flush(self, timeout: float | None = 30.0) -> bool:
        """As `Client.flush`."""
        self._bind()
        return await asyncio.to_thread(self._client.flush, timeout)

    async def close(self, timeout: float | None = 30.0) -> None:
        """As `Client.close`: raises Undelivered(count) when time ran out."""
        self._bind()
        await asyncio.to_thread(self._client.close, timeout)

    def stats(self) -> Stats:
        """Counts so far."""
        return self._client.stats()

    async def __aenter__(self) -> Self:
        self._bind()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self.close()
        except Undelivered as lost:
            if exc is None:
                raise
            log.error("%s", lost)

    async def _admit(self, held: Held) -> None:
        self._bind()
        if self._client.admit(held):
            return
        if not self._client.blocks:
            self._client.no_room(held)
            return
        deadline = time.monotonic() + self._client.block_timeout
        while True:
            room = asyncio.get_running_loop().create_future()
            self._waiting.append(room)  # before the second try: room made in between must not be missed
            if self._client.admit(held):
                return
            self._client.say_full()
            try:
                await asyncio.wait_for(room, max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise BufferFull("no room for the event within the block time-out") from None

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClientError("an AsyncClient belongs to one event loop")

    def _notify(self, notices: Notices) -> None:
        self._call(run_notices, notices)

    def _room(self) -> None:
        if self._waiting:
            self._call(self._wake)

    def _wake(self) -> None:
        while self._waiting:
            room = self._waiting.popleft()
            if not room.done():
                room.set_result(None)

    def _call(self, function: Any, *arguments: Any) -> None:
        loop = self._loop
        try:
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(function, *arguments)
                return
        except RuntimeError:  # closed between the question and the call
            pass
        function(*arguments)
