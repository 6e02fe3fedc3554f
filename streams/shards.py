"""Which shard reads an event type, and the Kafka group of each shard. Pure."""

from __future__ import annotations

from hashlib import blake2b


def shard_of(event_type: str, shards: int) -> int:
    """The event type's shard, from 0. Highest random weight: from n to n + 1 shards only every (n + 1)-th type moves, and to the new one.

    Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
    """
    name = event_type.encode()
    return max(range(shards), key=lambda shard: blake2b(name, digest_size=8, salt=shard.to_bytes(16, "big")).digest())


def group_of(base: str, shard: int) -> str:
    return f"{base}-{shard}"
