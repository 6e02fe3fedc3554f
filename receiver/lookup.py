"""The last look before an event of an unknown type is parked: one question to the registry, shared by all who ask meanwhile.

A "no" is believed for at most a second, because declare-then-send must work; a registry that does not answer in time is a "no" too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from hourmark.schemas import Entry, EventType, WireSchema, entry_key
from hourmark.topics import Tier

NEGATIVE_S: Final = 1.0
TIMEOUT_S: Final = 1.0
REMEMBERED: Final = 10_000

Offer = Callable[[list[tuple[str, Entry | None]]], None]


class _Lifecycle(msgspec.Struct):
    state: str
    reason: str = ""
    until: str = ""
    replaced_by: str = ""


class _Declaration(msgspec.Struct):
    owner: str = ""
    tier: Tier = "standard"
    key: str | None = None
    sdks: tuple[str, ...] = ("*",)
    lifecycle: str | _Lifecycle = "active"
    dedup: str = "closed"
    audit: str = "flag"


class _Found(msgspec.Struct):
    event: str
    revision: int
    declaration: _Declaration
    schema_id: int
    schema_version: int
    partitions: int
    wire_schema: msgspec.Raw
    source: int = 1
    private: tuple[str, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Found)


def entries_of(body: bytes) -> list[tuple[str, Entry | None]]:
    """The registry's answer as entries of the control topic, schema first. Raises msgspec.DecodeError."""
    found = _decoder.decode(body)
    schema = WireSchema(
        revision=found.revision,
        schema_id=found.schema_id,
        event=found.event,
        version=found.schema_version,
        fingerprint="",
        text=found.wire_schema,
    )
    said = found.declaration
    life = said.lifecycle if isinstance(said.lifecycle, _Lifecycle) else _Lifecycle(said.lifecycle)
    event_type = EventType(
        revision=found.revision,
        event=found.event,
        owner=said.owner,
        tier=said.tier,
        key=said.key,
        sdks=said.sdks,
        lifecycle=life.state,
        reason=life.reason,
        until=life.until,
        replaced_by=life.replaced_by,
        private=found.private,
        schema_id=found.schema_id,
        schema_version=found.schema_version,
        partitions=found.partitions,
        source=found.source,
        dedup=said.dedup,
        audit=said.audit,
    )
    return [(entry_key(schema), schema), (entry_key(event_type), event_type)]


class Lookup:
    """`ask` returns when the snapshot is as good as the registry can make it for this type. Never raises."""

    def __init__(self, registry_url: str, offer: Offer, now: Callable[[], float] = time.monotonic) -> None:
        self._url, self._offer, self._now = registry_url.rstrip("/"), offer, now
        self._denied: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, event_type: str) -> None:
        if self._now() < self._denied.get(event_type, 0.0):
            return
        task = self._asking.get(event_type)
        if task is None:
            task = self._asking[event_type] = asyncio.ensure_future(self._ask(event_type))
            task.add_done_callback(lambda _: self._asking.pop(event_type, None))
        await asyncio.shield(task)

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _ask(self, event_type: str) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.get(f"{self._url}/v1/events/{quote(event_type, safe='')}") as response:
                if response.status == 200:
                    self._offer(entries_of(await response.read()))
                    return
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            pass  # parked is durable too: an absent registry costs the event nothing but time
        if len(self._denied) >= REMEMBERED:
            self._denied.clear()
        self._denied[event_type] = self._now() + NEGATIVE_S
