"""Which index the settings ask for."""

from __future__ import annotations

from .compact import CompactIndex, CompactOptions
from .index import Index
from .memory import MemoryIndex
from .plain import PlainIndex
from .sealing import DaySealing
from .settings import DedupSettings


def open_index(settings: DedupSettings) -> Index:
    """The index of these settings, not yet opened."""
    if settings.backend == "memory":
        return MemoryIndex(settings.claim_seconds)
    index = _compact(settings) if settings.backend == "compact" else _plain(settings)
    index.server.replicas = settings.wait_replicas
    return index


def _compact(settings: DedupSettings) -> CompactIndex:
    options = CompactOptions(
        hash_key=settings.hash_key,
        window_days=settings.window_days,
        hours=settings.hours,
        shards=settings.index_shards,
        ids_a_day=settings.ids_a_day,
        timeout=settings.redis_timeout,
        durable=settings.durable,
    )
    return CompactIndex(settings.redis_url, options)


def _plain(settings: DedupSettings) -> PlainIndex:
    return PlainIndex(
        settings.redis_url,
        hash_key=settings.hash_key,
        window_days=settings.window_days,
        claim_seconds=settings.claim_seconds,
        timeout=settings.redis_timeout,
        durable=settings.durable,
    )


def day_sealing(settings: DedupSettings, index: Index) -> DaySealing | None:
    """Who seals the days of this index; None when it has none."""
    if not isinstance(index, CompactIndex):
        return None
    return DaySealing(index, least_days=settings.least_window_days, memory_share=settings.memory_share)
