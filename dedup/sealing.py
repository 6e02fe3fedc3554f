"""Seals the days of a compact index: owners are dropped and fingerprints kept, once no raw partition can ask for owners any more.

Any number of workers may try; a lease spares them the work, correctness does not need it. Small slices, with pauses as long as the work, so
claims hardly wait. Also here: buckets that follow the number of ids, and a window that gets shorter rather than a server that gets full.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final, NamedTuple

from hourmark.errors import IndexLost

from .canary import HELP
from .compact import CompactIndex
from .server import Script, translated
from .shards import IDS_A_BUCKET, Shard, bits_for, tag

SEAL: Final = Script.read("compact_meta", "compact_seal")
LEASE_MS: Final = 30_000
LEASE: Final = Script.read("compact_lease")
IDS_A_CALL: Final = 1_500  # about 3 ms: claims wait behind it
COLD_IDS: Final = 20  # so many sealed ids of a bucket are copied in the time in which one is moved
MOST_BUCKETS: Final = 512
LONGEST_PAUSE_S: Final = 0.02
MOST_LAYOUTS: Final = 5  # each one is a look-up for every claim


class Days(NamedTuple):
    """The index after a round. `sealed`: newest day sealed in all shards. `moved`: ids sealed in this round. `ids`: all that are in the
    index; `used_bytes`: of its servers. `missing_days`: by how many days the window is shorter than it should be; `full`: memory is short,
    and the window cannot be shortened further."""

    sealed: int
    moved: int
    ids: int
    used_bytes: int
    missing_days: int
    full: bool


class DaySealing:
    """`least_days`: sealed days that stay whatever the memory. `memory_share`: of maxmemory, above which the window is shortened."""

    def __init__(self, index: CompactIndex, least_days: int = 1, memory_share: float = 0.9) -> None:
        self._index, self._server, self._options = index, index.server, index.options
        self._least_days, self._memory_share = least_days, memory_share
        self._token = secrets.token_hex(8)

    async def round(self, passed: int) -> Days | None:
        """Seal days up to `passed`: every raw partition of every event type has committed past its end (0: nothing is known).

        None: another worker is at it. Raises IndexUnavailable (call again) and IndexLost.
        """
        if not await self._leased():
            return None
        shards = await self._shards()
        keep = max(0, passed - self._options.window_days)
        await self._index.turn([(number, "begin", passed, keep) for number, shard in enumerate(shards) if passed > shard.sealed])
        pressed = await self._pressed()
        shortened = pressed and await self._shorten()
        moved = 0
        for number, shard in enumerate(await self._shards()):
            if shard.due:
                moved += await self._sweep(number)
        await self._resize()
        shards, ids = await self._shards(), sum(sum(found.values()) for found in await self._counts())
        used = sum(found["used_memory"] for found in await self._server.memory())
        missing = max(max(0, shard.keep - max(0, shard.sealed - self._options.window_days)) for shard in shards)
        return Days(min(shard.sealed for shard in shards), moved, ids, used, missing, pressed and not shortened)

    async def _leased(self) -> bool:
        return bool((await self._server.evaluate(LEASE, [(tag(0) + "l", self._token, LEASE_MS)]))[0])

    async def _shards(self) -> list[Shard]:
        shards = [shard for shard in await self._index.shards() if shard is not None]
        if len(shards) != self._options.shards:
            raise IndexLost(f"{self._options.shards - len(shards)} shards of the id index have no canary: {HELP}")
        return shards

    async def _counts(self) -> list[dict[int, int]]:
        """Ids claimed by day, for each shard."""
        pipe = self._server.client.pipeline(transaction=False)
        for number in range(self._options.shards):
            pipe.hgetall(tag(number) + "n")
        with translated():
            return [{int(day): int(count) for day, count in found.items()} for found in await pipe.execute()]

    async def _sweep(self, number: int) -> int:
        """Every bucket of every layout of the shard, then the last stroke. Returns ids moved."""
        shard, moved = (await self._shards())[number], 0
        exat = int(self._index.now()) + self._options.life_s
        renew = time.monotonic() + LEASE_MS / 3000
        for layout in shard.layouts:
            buckets = 1 << layout.bits
            step = await self._step(number, shard, buckets)
            for first in range(0, buckets, step):
                started = time.monotonic()
                call = tag(number), layout.version, first, min(step, buckets - first), exat
                moved += (await self._server.evaluate(SEAL, [call]))[0]
                await asyncio.sleep(min(LONGEST_PAUSE_S, time.monotonic() - started))
                if time.monotonic() > renew:
                    await self._leased()
                    renew = time.monotonic() + LEASE_MS / 3000
        await self._index.turn([(number, "finish", shard.sealed, shard.keep)])
        return moved

    async def _step(self, number: int, shard: Shard, buckets: int) -> int:
        """How many buckets make a call of some milliseconds, by what is in them."""
        counts = (await self._counts())[number]
        hot = {day for day, _ in shard.hot if day <= shard.sealed}
        ids = sum(count for day, count in counts.items() if day in hot)
        return max(1, min(MOST_BUCKETS, IDS_A_CALL * buckets // (ids + sum(counts.values()) // COLD_IDS + 1)))

    async def _pressed(self) -> bool:
        return any(
            found["maxmemory"] and found["used_memory"] > self._memory_share * found["maxmemory"] for found in await self._server.memory()
        )

    async def _shorten(self) -> bool:
        """Let the oldest sealed day go, everywhere. False: the days that are left must stay."""
        shards, counts = await self._shards(), await self._counts()
        sealed = max(shard.sealed for shard in shards)
        days = [day for shard, found in zip(shards, counts, strict=True) for day in found if shard.keep <= day <= shard.sealed]
        if not days or sealed - min(days) < self._least_days:
            return False
        await self._index.turn([(number, "shorten", min(days) + 1) for number in range(len(shards))])
        return True

    async def _resize(self) -> None:
        """Buckets that hold too many or too few ids a day: later claims go to others. Days that are there stay where they are."""
        steps = []
        for number, (shard, counts) in enumerate(zip(await self._shards(), await self._counts(), strict=True)):
            bits = wanted_bits(shard, counts)
            if bits != shard.current.bits:
                steps.append((number, "resize", bits, shard.current.version))
        if steps:
            await self._index.turn(steps)


def wanted_bits(shard: Shard, counts: dict[int, int]) -> int:
    """log2 of the buckets that the shard should have. `counts`: ids claimed by day, the days that are not over included.

    A day that is not over grows it at four times the wanted ids a bucket, more generously each time; sealed days at 1.5 times. It shrinks
    only after three days that would all have left nine tenths of it empty.
    """
    bits, buckets, layouts = shard.current.bits, 1 << shard.current.bits, len(shard.layouts)
    today = max((count for day, count in counts.items() if day > shard.sealed), default=0)
    before = [count for day, count in counts.items() if shard.keep <= day <= shard.sealed]
    most = max(before, default=0)
    if layouts >= MOST_LAYOUTS:
        return bits
    if today > 4 * IDS_A_BUCKET * buckets:
        return max(bits, bits_for(today * 2**layouts))
    if most > 1.5 * IDS_A_BUCKET * buckets:
        return max(bits, bits_for(most))
    if layouts == 1 and len(before) >= 3 and max(most, today) < 0.1 * IDS_A_BUCKET * buckets:
        return min(bits, bits_for(most))
    return bits
