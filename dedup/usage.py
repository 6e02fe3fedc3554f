"""How full the servers of an index are, for gauges. Asked now and then; a failure to answer is no news here."""

from __future__ import annotations

from typing import NamedTuple

from .compact import CompactIndex
from .index import Index
from .plain import PlainIndex


class Usage(NamedTuple):
    """`ids` None: whoever seals the days of this index counts them. `limit_bytes` 0: a server has none (maxmemory)."""

    ids: int | None
    used_bytes: int
    limit_bytes: int


async def usage(index: Index) -> Usage | None:
    """None for an index without a server. Raises IndexUnavailable."""
    if not isinstance(index, PlainIndex | CompactIndex):
        return None
    found = await index.server.memory()
    limits = [int(server["maxmemory"]) for server in found]
    ids = await index.server.size() if isinstance(index, PlainIndex) else None  # one key for each id, and the canary
    return Usage(ids, sum(int(server["used_memory"]) for server in found), sum(limits) if all(limits) else 0)
