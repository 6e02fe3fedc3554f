"""How many bytes may be on the way. Each tier has its own share, so that a flood of debug events cannot starve critical ones."""

from __future__ import annotations

from typing import Final, get_args

from hourmark.errors import Overloaded
from hourmark.topics import TIERS, Tier

RETRY_AFTER_S: Final = 1.0


class Budget:
    """Bytes waiting for Kafka's acknowledgement, by tier. One loop uses it, so there is no lock."""

    def __init__(self, total: int) -> None:
        self.limits: dict[Tier, int] = {tier: int(total * TIERS[tier].budget) for tier in get_args(Tier)}
        self.total, self._limit = 0, sum(self.limits.values())
        self.used: dict[Tier, int] = dict.fromkeys(get_args(Tier), 0)

    def reserve(self, tier: Tier, size: int) -> bool:
        """False when the tier is full. An idle tier takes one batch of any size: otherwise a large one could never pass."""
        used = self.used[tier]
        if used and used + size > self.limits[tier]:
            return False
        self.used[tier] = used + size
        self.total += size
        return True

    def release(self, tier: Tier, size: int) -> None:
        self.used[tier] -= size
        self.total -= size

    @property
    def exhausted(self) -> bool:
        """True when hardly any tier has room: a request need not be read to know that."""
        return self.total >= 0.95 * self._limit


class Reading:
    """Bytes of bodies that are being read and decoded, over all connections: slow senders cannot fill the memory."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def take(self, size: int) -> None:
        """Raises Overloaded when there is no room."""
        if self.used + size > self.limit:
            raise Overloaded("too many bodies are being read", retry_after=RETRY_AFTER_S)
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size
