"""How much room the brokers' disks have left, on the metrics page of every dedup worker. What cannot be found out has no series.

Never in the way of events: one small question to each broker a minute, on connections of its own; no trouble with it ends a worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import structlog

from hourmark.errors import BrokerUnavailable

from . import meters
from .log_dirs import LogDir, log_dirs

log = structlog.get_logger()

LOOK_S: Final = 60.0

Ask = Callable[[str, int, dict[str, Any]], Awaitable[list[LogDir]]]


class Broker(NamedTuple):
    id: int
    host: str
    port: int


class BrokerDisks:
    """`brokers` says which there are now; `ask` is streams.log_dirs.log_dirs, with the `security` that it takes."""

    def __init__(self, brokers: Callable[[], Iterable[Broker]], security: Mapping[str, Any], ask: Ask = log_dirs) -> None:
        self._brokers, self._security, self._ask = brokers, dict(security), ask
        self._shown: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look once a minute, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask all brokers at the same time, show what they say, and tell of trouble once an episode."""
        brokers = list(self._brokers())
        answers = await asyncio.gather(*(self._answer_of(broker) for broker in brokers))
        found: dict[tuple[str, str], LogDir] = {}  # by broker and path
        trouble: dict[tuple[str, str], str] = {}  # the same, path empty where it is the whole broker
        for broker, answer in zip(brokers, answers, strict=True):
            name = str(broker.id)
            if isinstance(answer, BrokerUnavailable):
                trouble[name, ""] = answer.message
                continue
            found |= {(name, there.path): there for there in answer if there.size}
            trouble |= {(name, there.path): f"it has given up its log directory {there.path}" for there in answer if there.offline}
        self._show(found)
        self._tell(trouble)

    async def _answer_of(self, broker: Broker) -> list[LogDir] | BrokerUnavailable:
        try:
            return await self._ask(broker.host, broker.port, self._security)
        except BrokerUnavailable as exc:
            return exc

    def _show(self, found: Mapping[tuple[str, str], LogDir]) -> None:
        for gone in self._shown - found.keys():
            meters.KAFKA_FREE.remove(*gone)
            meters.KAFKA_SIZE.remove(*gone)
        for where, there in found.items():
            meters.KAFKA_FREE.labels(*where).set(there.free)
            meters.KAFKA_SIZE.labels(*where).set(there.size)
        self._shown = set(found)

    def _tell(self, trouble: Mapping[tuple[str, str], str]) -> None:
        """One line for all brokers that come to have the same trouble, one when they are seen again."""
        fresh = {where: said for where, said in trouble.items() if where not in self._told}
        for said in dict.fromkeys(fresh.values()):
            names = sorted(name for (name, _), theirs in fresh.items() if theirs == said)
            log.warning("a broker's disk is not seen", code="disk_not_seen", brokers=names, error=said)
        shown = {name for name, _ in self._shown}
        if over := sorted({name for name, _ in self._told - trouble.keys()} & shown):
            log.info("the brokers' disks are seen again", brokers=over)
        self._told = set(trouble)
