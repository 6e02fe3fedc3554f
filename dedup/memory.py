"""The index in a dict, for tests and rehearsals: the same behaviour as the real ones, in one process, gone at its exit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hourmark.errors import IndexLost, InvariantBroken

from .index import ID_BYTES, RECORD_BYTES, Claims, Owners


class MemoryIndex:
    """`claim_seconds`: how long a claim lives. Its memory is always there, unless a test calls `forget`."""

    def __init__(self, claim_seconds: int, now: Callable[[], float] = time.time) -> None:
        self._claim_seconds, self._now = claim_seconds, now
        self._owners: dict[bytes, tuple[bytes, float]] = {}
        self._initialised = False
        self._restoring = False
        self._lives = 0

    async def open(self) -> None:
        if not self._initialised:
            raise IndexLost("the index in memory is empty")

    async def initialise(self) -> None:
        if not self._initialised and self._owners:
            raise IndexLost("the index holds claims, so this is not its beginning")
        self._initialised = True

    async def restore(self) -> None:
        if self._initialised:
            raise InvariantBroken("this index has its canary: it lost nothing")
        self._restoring = True

    async def finish_restore(self) -> None:
        self._initialised, self._restoring = True, False

    async def memory(self) -> str:
        if not self._initialised and not self._restoring:
            raise IndexLost("the index in memory is empty")
        return str(self._lives)

    async def claim(self, batch: Sequence[Claims]) -> Owners:
        if not self._initialised and not self._restoring:
            raise IndexLost("the index in memory is empty")
        blob, now, conflicts = b"".join(claims.records for claims in batch), self._now(), Owners()
        for position, at in enumerate(range(0, len(blob), RECORD_BYTES)):
            key, owner = blob[at : at + ID_BYTES], blob[at + ID_BYTES : at + RECORD_BYTES]
            known = self._owners.get(key)
            if known is None or known[1] <= now:
                self._owners[key] = owner, now + self._claim_seconds
            elif known[0] != owner:
                conflicts[position] = known[0]
        return conflicts

    def forget(self) -> None:
        """Lose everything, as a server that restarts without its data."""
        self._owners.clear()
        self._initialised = self._restoring = False
        self._lives += 1

    def forget_since(self, age_s: float) -> None:
        """Lose the claims of the last `age_s` seconds, as a replica that is promoted before they reached it."""
        made_after = self._now() + self._claim_seconds - age_s
        self._owners = {key: (owner, ends) for key, (owner, ends) in self._owners.items() if ends < made_after}
        self._lives += 1

    async def close(self) -> None:
        """Nothing to let go of."""
