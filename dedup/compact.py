"""The index in Redis (>= 7), Valkey, or a cluster of them, in days: about 10 bytes an id for a window of weeks.

An id lives in a bucket of its shard: as (8 bytes of its keyed hash → owner) in a small hash of the bucket and day, and, once every raw
partition has committed past that day, as 6 bytes in one string of the bucket. docs/delivery.md shows the layout and its false duplicates.
Every shard has a meta key, its canary; without all of them no claim is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from hourmark.errors import IndexLost, InvariantBroken
from hourmark.hours import Hours

from . import packing
from .canary import HELP, UNFINISHED, Canary
from .index import HOURS_A_DAY, Claims, Owners
from .server import IndexServer, Needs, Script, translated
from .shards import FINGERPRINT, READY, REBUILDING, Shard, bits_for, tag

LAYOUT: Final = "compact-1"
LISTPACK: Final = 512

CLAIM: Final = Script.read("compact_meta", "compact_claim")
TURN: Final = Script.read("compact_meta", "compact_turn")


class CompactOptions(NamedTuple):
    """`shards` is for ever; `ids_a_day` only a beginning: buckets follow what comes. `fingerprint`: bytes of a sealed id."""

    hash_key: bytes
    window_days: int
    hours: Hours
    shards: int = 8
    ids_a_day: int = 1_000_000
    fingerprint: int = FINGERPRINT
    timeout: float = 3.0
    durable: bool = False

    @property
    def life_s(self) -> int:
        """Real seconds after which a key may go by itself; what is kept is decided by days, not by this."""
        return self.hours.days_s(self.window_days + 3)


class CompactIndex:
    """The index of these options; `server` and `options` are read by whoever seals its days."""

    def __init__(self, url: str, options: CompactOptions, now: Callable[[], float] = time.time) -> None:
        self.server, self.options, self.now = IndexServer(url, options.timeout), options, now
        self._wanted = Canary.of(LAYOUT, options.window_days, options.hash_key, options.shards)
        self._needs = Needs(options.durable, cluster=True, listpack=LISTPACK)
        self._state = READY

    async def open(self) -> None:
        shards, instances = await self._look()
        missing = [number for number, shard in enumerate(shards) if shard is None]
        if missing:
            raise IndexLost(f"{len(missing)} of {len(shards)} shards of the id index have no canary (first: {tag(missing[0])}): {HELP}")
        if len(instances) != 1:
            raise IndexLost(f"the shards of the id index are of {len(instances)} different indexes: {HELP}")
        if any(shard is not None and shard.state == REBUILDING for shard in shards):
            raise IndexLost(f"the id index is not whole: {UNFINISHED}")
        self._state = READY

    async def initialise(self) -> None:
        shards, _ = await self._look()
        if any(shard is not None and shard.state == REBUILDING for shard in shards):
            raise IndexLost(f"this is no beginning: {UNFINISHED}")
        if None in shards:
            # Claims are made only when every shard is there, so beside a missing one they are the rest of something lost.
            with translated():
                async for key in self.server.client.scan_iter(match="{*}[chn]*", count=10_000):
                    if None not in (await self._look())[0]:
                        break  # another worker was first, and has begun to claim
                    raise IndexLost(f"claims without a canary, for example {key.hex()}: {HELP}")
        await self._create(READY)

    async def restore(self) -> None:
        shards, _ = await self._look()
        if all(shard is not None and shard.state == READY for shard in shards):
            raise InvariantBroken("this index has its canary: it lost nothing, so there is nothing to rebuild")
        await self._create(REBUILDING)
        await self.turn([(number, "state", REBUILDING) for number in range(self.options.shards)])
        self._state = REBUILDING

    async def finish_restore(self) -> None:
        await self.turn([(number, "state", READY) for number in range(self.options.shards)])
        await self.open()

    async def memory(self) -> str:
        names = await self.server.names()
        with translated():
            instances = set(await self._get("i"))
        if None in instances or len(instances) != 1:
            raise IndexLost(f"shards of the id index have no canary: {HELP}")
        return f"{names} {instances}"

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        options = self.options
        asked = packing.calls(batch, options.hours, options.shards)
        exat = int(self.now()) + options.life_s
        replies = await self.server.evaluate(CLAIM, [(tag(call.shard), exat, self._state, *call.arguments) for call in asked])
        return packing.owners(asked, replies)

    async def close(self) -> None:
        await self.server.close()

    async def turn(self, steps: Sequence[tuple[Any, ...]]) -> list[int]:
        """Take small steps in the life of shards: (shard, name, numbers…) of scripts/compact_turn.lua. 1 where something changed."""
        return await self.server.evaluate(TURN, [(tag(number), *arguments) for number, *arguments in steps])

    async def shards(self) -> list[Shard | None]:
        """Every shard's memory of itself; None where there is none."""
        with translated():
            raw = await self._get("m")
        return [None if found is None else Shard.read(found) for found in raw]

    async def _look(self) -> tuple[list[Shard | None], set[str]]:
        """The shards, after connecting, and the instances that they say they are of."""
        await self.server.connect(self._needs)
        with translated():
            canaries = await self._get("i")
        instances = {self._wanted.check(found).instance for found in canaries if found is not None}
        shards = await self.shards()
        return [shard if found is not None else None for shard, found in zip(shards, canaries, strict=True)], instances

    async def _get(self, name: str) -> list[bytes | None]:
        pipe = self.server.client.pipeline(transaction=False)
        for number in range(self.options.shards):
            pipe.get(tag(number) + name)
        found: list[bytes | None] = await pipe.execute()
        return found

    async def _create(self, state: int) -> None:
        """Whatever is missing, from the first shard to the last; two workers at once make one index."""
        options, client = self.options, self.server.client
        today = options.hours.of(int(self.now() * 1000)) // HOURS_A_DAY
        sealed = max(0, today - options.window_days - 2)
        bits = bits_for(options.ids_a_day / options.shards)
        with translated():
            canary = next((found for found in await self._get("i") if found is not None), None)
            if canary is None:
                await client.set(tag(0) + "i", self._wanted.born(), nx=True)
                canary = await client.get(tag(0) + "i")
            for number in range(options.shards):
                await client.set(tag(number) + "i", canary, nx=True)
        await self.turn([(number, "init", sealed, options.fingerprint, bits, state) for number in range(options.shards)])
        for found in await self._get("i"):
            self._wanted.check(found or b"")
