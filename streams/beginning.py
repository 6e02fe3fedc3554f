"""Opens the id index, and decides whether an index without canary is a beginning or a loss.

It is a beginning only when the index holds no claims and no shard's group has ever committed anything. Everything else is IndexLost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from confluent_kafka.admin import AdminClient

from dedup.index import Index
from hourmark.errors import BrokerUnavailable, IndexLost, IndexUnavailable
from hourmark.kafka import client_config

from . import meters
from .groups import groups_of, kept
from .settings import Settings

log = structlog.get_logger()

LOST_S = 5.0


async def open_index(
    settings: Settings, index: Index, say: Callable[[str], None] = lambda _reason: None, check: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Returns with an index that is fit for claims; waits while it does not answer. Raises IndexLost or InvariantBroken, as `check` does.

    A lost index is looked at for some seconds more (`say` gets the reason), so that no supervisor makes a busy loop of it.
    """
    wait, told, until = 0.2, False, float("inf")
    while True:
        try:
            await _open(settings, index)
            if check is not None:
                await check()
            meters.INDEX_LOST.set(0)
            return
        except (IndexUnavailable, BrokerUnavailable) as exc:
            if not told:
                log.warning("waiting for the id index", error=exc.message)
                told = True
        except IndexLost as exc:
            meters.INDEX_LOST.set(1)
            until = min(until, time.monotonic() + LOST_S)
            if time.monotonic() >= until:
                raise
            say(f"{exc.code}: {exc.message}")
        await asyncio.sleep(wait)
        wait = min(wait * 2, 2.0)


async def _open(settings: Settings, index: Index) -> None:
    try:
        await index.open()
    except IndexLost:
        if await asyncio.to_thread(has_committed, settings):
            await index.open()  # another worker may have begun between the two looks
            return
        await index.initialise()
        log.info("a new platform: the id index was empty and nothing was ever committed, so it starts here", group=settings.group)


def has_committed(settings: Settings) -> bool:
    """True when the group of any shard has committed offsets anywhere. Raises BrokerUnavailable."""
    admin = AdminClient(client_config(settings))
    return any(kept(admin, group) for group in groups_of(admin, settings.app_id))
