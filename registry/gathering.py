"""Topics for many declarations at a time: whoever asks while one batch is being made is in the next, so none waits for a timer.

Hundreds of event types declared side by side need a few requests to Kafka instead of thousands, and one alone waits for nobody.
"""

from __future__ import annotations

import asyncio

from .provision import Provisioned, Provisioner, Wanted

MOST = 100  # event types per batch: some hundred partitions, made within seconds


class Gathering:
    """`topics` of different event types may be called side by side; raises what `Provisioner.event_topics` raises."""

    def __init__(self, provisioner: Provisioner) -> None:
        self._provisioner = provisioner
        self._waiting: list[tuple[Wanted, asyncio.Future[Provisioned]]] = []
        self._work: asyncio.Task[None] | None = None

    async def topics(self, wanted: Wanted) -> Provisioned:
        future: asyncio.Future[Provisioned] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._make(batch)
        finally:
            self._work = None

    async def _make(self, batch: list[tuple[Wanted, asyncio.Future[Provisioned]]]) -> None:
        try:
            found = await asyncio.to_thread(self._provisioner.all_event_topics, [wanted for wanted, _ in batch])
        except BaseException as exc:
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            if not isinstance(exc, Exception):
                raise
            return
        for wanted, future in batch:
            outcome = found[wanted.event]
            if future.done():  # its request has gone away
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
