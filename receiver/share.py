"""What replays may take of a receiver: so many events a second, and what live traffic leaves of each tier's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from hourmark.errors import Overloaded
from hourmark.topics import Tier

from .budget import Budget
from .publisher import Publisher

PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.02


class Share:
    """`take`, then `give_back` the same sizes (bytes by tier)."""

    def __init__(self, rate: float, budget: Budget, publisher: Publisher) -> None:
        self._rate, self._budget, self._publisher = rate, budget, publisher
        self._free_at = 0.0

    async def take(self, sizes: Mapping[Tier, int], events: int) -> None:
        """Waits until the rate allows it and live traffic leaves half of each tier's budget free.

        Raises Overloaded after a while: who never looks at Kafka loses its partitions.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._free_at - loop.time()))
        self._free_at = max(loop.time(), self._free_at) + events / self._rate
        patience = loop.time() + PATIENCE_S
        while not self._room(sizes):
            if loop.time() > patience:
                raise Overloaded("live traffic takes all the room")
            await asyncio.sleep(_LOOK_S)  # room has no event: the budget is a plain number for the sake of live traffic
        for tier, size in sizes.items():
            self._budget.reserve(tier, size)

    def give_back(self, sizes: Mapping[Tier, int]) -> None:
        for tier, size in sizes.items():
            self._budget.release(tier, size)

    def _room(self, sizes: Mapping[Tier, int]) -> bool:
        """An idle tier takes anything, as it does from a request."""
        if self._publisher.refusal() is not None:
            return False
        used, limits = self._budget.used, self._budget.limits
        return all(not used[tier] or used[tier] + size <= limits[tier] // 2 for tier, size in sizes.items())
