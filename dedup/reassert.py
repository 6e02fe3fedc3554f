"""An index that survives a failover: the claims of the last seconds are kept, and made again before any other in a memory that changed.

A replica promoted before the newest claims reached it would let copies of exactly those ids through. Claims are idempotent, so saying them
again costs nothing. What another record has claimed meanwhile cannot be taken back: that is a doubled event, and it is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final, NamedTuple

from hourmark.errors import IndexUnavailable

from .index import ID_BYTES, RECORD_BYTES, Claims, Index, Owners
from .recent import RecentClaims

CHECK_S: Final = 0.05  # a failover that loses claims takes longer
LOOK_S: Final = 1.0
PATIENCE_S: Final = 5.0
SETTLE_S: Final = 3.0  # above the longest wait between two attempts of a worker whose index was away
_STEP_BYTES: Final = 40_000 * RECORD_BYTES


class Failover(NamedTuple):
    """The memory changed. `asserted`: claims made again. `doubled`: of these, ids that another record had claimed meanwhile."""

    asserted: int
    doubled: int


class ReassertingIndex:
    """Index over another one. Keeps the claims of the last `seconds` (24 bytes each, at most 96 MB) and tells `told` of each failover."""

    def __init__(
        self,
        index: Index,
        seconds: float,
        told: Callable[[Failover], None],
        *,
        settle: float = SETTLE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index, self._seconds, self._told, self._settle, self._now = index, seconds, told, settle, now
        self._kept = RecentClaims()
        self._memory = ""
        self._checked = float("-inf")  # when the memory was last known to be the same
        self._failed = float("-inf")  # when a claim last got no answer, until one does
        self._turn = asyncio.Lock()
        self._asserted: int | None = None  # claims made again and not told of yet
        self._rivals: dict[bytes, bytes] = {}  # id and owner of what came between → the record of ours that had the id

    async def open(self) -> None:
        await self._index.open()

    async def initialise(self) -> None:
        await self._index.initialise()

    async def restore(self) -> None:
        await self._index.restore()

    async def finish_restore(self) -> None:
        await self._index.finish_restore()

    async def memory(self) -> str:
        return await self._index.memory()

    async def close(self) -> None:
        await self._index.close()

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        async with self._turn:
            checked, self._checked = self._checked, float("-inf")  # until this claim has its answer
            try:
                await self._same_memory(checked)
                owners = await self._index.claim(batch)
            except IndexUnavailable:
                self._checked, self._failed = float("-inf"), self._now()
                raise
            self._checked, self._failed = self._now(), float("-inf")
            if self._rivals:
                owners = self._without_rivals(batch, owners)
            self._tell()
            self._keep(batch, owners)
            return owners

    async def watch(self) -> None:
        """Runs for ever: looks at the memory each second, so that a worker without events says its claims again as well.

        Raises IndexLost when the memory is gone.
        """
        while True:
            await asyncio.sleep(LOOK_S)
            if self._turn.locked() or self._now() - max(self._checked, self._failed + PATIENCE_S) < LOOK_S:
                continue  # claims are under way, or failed a moment ago: whoever makes them looks for himself
            async with self._turn:
                with contextlib.suppress(IndexUnavailable):  # the claim that needs it will say so
                    await self._same_memory(self._checked)
                    self._tell()

    async def _same_memory(self, checked: float) -> None:
        """Returns when the index holds the kept claims. `checked`: when that was last known."""
        if self._now() - checked < CHECK_S:
            return
        while (found := await self._index.memory()) != self._memory:
            if self._memory:
                await self._index.open()  # fit to be used, and not empty
                self._asserted = (self._asserted or 0) + await self._assert_again()
            if self._memory and self._seconds:  # the other workers say theirs before anybody claims anew
                await asyncio.sleep(self._settle)
            self._memory = found
        self._checked = self._now()

    async def _assert_again(self) -> int:
        self._kept.forget(self._now() - self._seconds)
        self._rivals.clear()
        count, size = 0, 0
        step: list[Claims] = []
        for kept in chain(self._kept, (None,)):  # claims are added only by whoever has the turn
            if step and (kept is None or size >= _STEP_BYTES):
                blob = b"".join(claims.records for claims in step)
                for position, rival in (await self._index.claim(step)).items():
                    ours = blob[position * RECORD_BYTES : (position + 1) * RECORD_BYTES]
                    self._rivals[ours[:ID_BYTES] + rival] = ours[ID_BYTES:]
                step, size = [], 0
            if kept is not None:
                step.append(kept)
                size += len(kept.records)
                count += len(kept.records) // RECORD_BYTES
        return count

    def _without_rivals(self, batch: Sequence[Claims], owners: Owners) -> Owners:
        """A rival in this very batch (claimed by an attempt whose answer was lost) is not forwarded yet: it can still be the duplicate."""
        found, blob = dict(owners), b"".join(claims.records for claims in batch)
        for position, at in enumerate(range(0, len(blob), RECORD_BYTES)):
            ours = self._rivals.pop(blob[at : at + RECORD_BYTES], None)
            if ours is not None:
                found.setdefault(position, ours)
        return Owners(found, owners.echoes)

    def _tell(self) -> None:
        if self._asserted is not None:
            self._told(Failover(self._asserted, len(self._rivals)))
            self._asserted = None
            self._rivals.clear()

    def _keep(self, batch: Sequence[Claims], owners: Owners) -> None:
        """Only what is ours: saying a duplicate's claim again could make it the owner, and its event was not forwarded."""
        now = self._now()
        self._kept.forget(now - self._seconds)
        if not self._seconds:
            return
        first, refused = 0, deque(sorted({*owners, *owners.echoes}))
        for claims in batch:
            after = first + len(claims.records) // RECORD_BYTES
            here = []
            while refused and refused[0] < after:
                here.append(refused.popleft() - first)
            first = after
            ours = _without(claims, here)
            if ours.records:
                self._kept.add(now, ours)


def _without(claims: Claims, positions: Sequence[int]) -> Claims:
    """The claims but those at these positions, which are in order."""
    if not positions:
        return claims
    records: list[bytes] = []
    times: list[int] = []
    start = 0
    for position in (*positions, len(claims.records) // RECORD_BYTES):
        records.append(claims.records[start * RECORD_BYTES : position * RECORD_BYTES])
        times.extend(claims.times[start:position])
        start = position + 1
    return Claims(claims.append_ms, b"".join(records), times)
