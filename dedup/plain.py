"""The index in one Redis (>= 7) or Valkey, one key per id: `d` + 16 bytes → the owner's coordinates. About 85 bytes an id on Valkey 9.

One round trip per batch: script calls of 2,000 ids each in one pipeline; a call blocks the server for about 5 ms. The canary `hm:canary`
says whose memory this is; without it no claim is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hourmark.errors import IndexLost, InvariantBroken

from .canary import HELP, UNFINISHED, Canary
from .index import OWNER_BYTES, RECORD_BYTES, Claims, Owners
from .server import IndexServer, Needs, Script, translated

CANARY: Final = "hm:canary"
REBUILDING: Final = "hm:rebuilding"
LAYOUT: Final = "plain-1"
CHUNK: Final = 2_000

_CONFLICT_BYTES: Final = 4 + OWNER_BYTES
_SCRIPT: Final = Script.read("claim")


class PlainIndex:
    """`hash_key` and `window_days` must be those that the index was initialised with. `claim_seconds`: life of a claim. `durable`: refuse
    a server without persistence."""

    def __init__(
        self, url: str, *, hash_key: bytes, window_days: int, claim_seconds: int, timeout: float = 3.0, durable: bool = False
    ) -> None:
        self.server = IndexServer(url, timeout)
        self._needs = Needs(durable)
        self._claim_seconds = claim_seconds
        self._wanted = Canary.of(LAYOUT, window_days, hash_key)
        self._witness = CANARY  # the key whose presence allows claims

    async def open(self) -> None:
        await self.server.connect(self._needs)
        with translated():
            found, rebuilding = await self.server.client.mget(CANARY, REBUILDING)
        if found is None:
            raise IndexLost(f"no canary in the id index: {UNFINISHED if rebuilding else HELP}")
        self._wanted.check(found)
        self._witness = CANARY

    async def initialise(self) -> None:
        await self.server.connect(self._needs)
        client = self.server.client
        with translated():
            if await client.exists(REBUILDING):
                raise IndexLost(f"this is no beginning: {UNFINISHED}")
            async for key in client.scan_iter(match="d" + "?" * 16, count=10_000):
                if await client.exists(CANARY):
                    break  # another worker was first, and has begun to claim
                raise IndexLost(f"claims without a canary, for example {key.hex()}: {HELP}")
            await client.set(CANARY, self._wanted.born(), nx=True)
            self._wanted.check(await client.get(CANARY))

    async def restore(self) -> None:
        await self.server.connect(self._needs)
        client = self.server.client
        with translated():
            if await client.exists(CANARY):
                raise InvariantBroken("this index has its canary: it lost nothing, so there is nothing to rebuild")
            await client.set(REBUILDING, self._wanted.born(), nx=True)
            self._wanted.check(await client.get(REBUILDING))
        self._witness = REBUILDING

    async def finish_restore(self) -> None:
        client = self.server.client
        with translated():
            if await client.exists(REBUILDING):
                await client.renamenx(REBUILDING, CANARY)
            found = await client.get(CANARY)
        if found is None:
            raise IndexLost(f"the index was emptied while it was rebuilt: {HELP}")
        self._wanted.check(found)
        self._witness = CANARY

    async def memory(self) -> str:
        names = await self.server.names()
        with translated():
            witness = await self.server.client.get(self._witness)
        if witness is None:
            raise IndexLost(f"no canary in the id index: {HELP}")
        return f"{names} {witness.decode()}"

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        blob = b"".join([claims.records for claims in batch])
        conflicts = Owners()
        if not blob:
            return conflicts
        step = RECORD_BYTES * CHUNK
        calls = [("", blob[at : at + step], self._claim_seconds, self._witness) for at in range(0, len(blob), step)]
        for number, reply in enumerate(await self.server.evaluate(_SCRIPT, calls)):
            for at in range(0, len(reply), _CONFLICT_BYTES):
                position = number * CHUNK + int.from_bytes(reply[at : at + 4], "big")
                conflicts[position] = reply[at + 4 : at + _CONFLICT_BYTES]
        return conflicts

    async def missing(self, hashed: Sequence[bytes]) -> list[int]:
        """Positions of those keyed hashes that nobody has claimed. Changes nothing. Raises IndexUnavailable."""
        if not hashed:
            return []
        with translated():
            owners = await self.server.client.mget([b"d" + one for one in hashed])
        return [position for position, owner in enumerate(owners) if owner is None]

    async def close(self) -> None:
        await self.server.close()
