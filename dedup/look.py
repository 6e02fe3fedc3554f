"""What an onlooker sees of the id index without its secret: that it answers, how full it is, whether it has its memory. Changes nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import plain
from .server import IndexServer, translated
from .shards import tag

TIMEOUT_S: Final = 3.0


class Seen(NamedTuple):
    """`used`: of maxmemory, on the fullest server; None where there is no limit. `canary`: some index has been initialised here."""

    used: float | None
    canary: bool


async def look(url: str, timeout: float = TIMEOUT_S) -> Seen:
    """Raises IndexUnavailable when it does not answer, InvariantBroken when that is no server for an index."""
    server = IndexServer(url, timeout)
    try:
        await server.visit()
        shares = [info["used_memory"] / info["maxmemory"] for info in await server.memory() if info.get("maxmemory")]
        with translated():
            canaries = [await server.client.exists(key) for key in (plain.CANARY, f"{tag(0)}i")]
        return Seen(max(shares, default=None), any(canaries))
    finally:
        await server.close()
