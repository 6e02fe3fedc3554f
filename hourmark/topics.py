"""Names, partition rule and configuration of every topic. One place, because producers, workers and clients must agree on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
EVENT_TYPE_MAX: Final = 100

CONTROL: Final = "hourmark.control"
NODES: Final = "hourmark.nodes"
SEALED_HOURS: Final = "hourmark.sealed-hours"
REPLAYS: Final = "hourmark.replays"
REJECTED: Final = "rejected"
PARKED: Final = "parked"

Tier = Literal["critical", "standard", "debug"]


class TierPolicy(NamedTuple):
    """What a tier means by default. `partitions` of a new event type; `budget` = share of a receiver's in-flight bytes; `promise_s`:
    seconds after its end in which an hour is sealed."""

    partitions: int
    raw_retention_h: int
    clean_retention_h: int
    budget: float
    promise_s: int


TIERS: Final[Mapping[str, TierPolicy]] = {
    "critical": TierPolicy(8, 168, 336, 0.5, 300),
    "standard": TierPolicy(4, 72, 168, 0.35, 900),
    "debug": TierPolicy(2, 24, 72, 0.15, 3600),
}


class Partition(NamedTuple):
    """One partition of one event type; raw and clean partitions map 1:1."""

    event_type: str
    number: int


def is_event_type(name: str) -> bool:
    """True for names like `player.song_played`: lower case, at least one dot, at most 100 characters."""
    return len(name) <= EVENT_TYPE_MAX and EVENT_TYPE.fullmatch(name) is not None


def raw_topic(event_type: str) -> str:
    return "raw." + event_type


def clean_topic(event_type: str) -> str:
    return "clean." + event_type


def event_type_of(topic: str) -> str:
    """`player.song_played` from its raw or clean topic."""
    return topic.split(".", 1)[1]


def partition_of(key: bytes, partitions: int) -> int:
    """The partition rule of the wire contract: `blake2b(key, 8 bytes) mod partitions`, big endian. Independent of any client's default."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % partitions


def event_topic_config(retention_ms: int, replicas: int) -> dict[str, str]:
    """Configuration of a raw or clean topic, set at creation and verified at start."""
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "compression.type": "producer",
        "max.message.bytes": str(2 * 1024 * 1024),
    } | ({"min.insync.replicas": "2"} if replicas >= 3 else {})


def platform_topic_config(topic: str, replicas: int) -> dict[str, str]:
    """Configuration of a platform topic: rejected and parked are kept for 14 days, the others are compacted."""
    compacted = topic in (CONTROL, NODES, SEALED_HOURS, REPLAYS)
    base = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(8 * 1024 * 1024)}
    kept = {"cleanup.policy": "compact"} if compacted else {"cleanup.policy": "delete", "retention.ms": str(14 * 86_400_000)}
    return base | kept | ({"min.insync.replicas": "2"} if replicas >= 3 else {})


PLATFORM_PARTITIONS: Final[Mapping[str, int]] = {CONTROL: 1, NODES: 1, SEALED_HOURS: 1, REPLAYS: 1, REJECTED: 4, PARKED: 4}
