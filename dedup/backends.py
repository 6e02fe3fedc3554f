"""Which index the settings ask for."""

from __future__ import annotations

from .index import Index
from .memory import MemoryIndex
from .plain import PlainIndex
from .settings import DedupSettings


def open_index(settings: DedupSettings) -> Index:
    """The index of these settings, not yet opened."""
    if settings.backend == "memory":
        return MemoryIndex(settings.claim_seconds)
    return PlainIndex(
        settings.redis_url,
        hash_key=settings.hash_key,
        window_days=settings.window_days,
        claim_seconds=settings.claim_seconds,
        timeout=settings.redis_timeout,
    )
