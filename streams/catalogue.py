"""Which raw topics a worker should read, and what it must know of their event types."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

import structlog
from confluent_kafka.admin import AdminClient

from hourmark.errors import BrokerUnavailable
from hourmark.kafka import client_config, partition_counts
from hourmark.rights import READ, WRITE, Rights
from hourmark.schemas import EventType, Snapshot
from hourmark.topics import clean_topic, event_type_of, raw_topic

from .settings import Settings
from .shards import shard_of

log = structlog.get_logger()


class Catalogue:
    """`types`: event types by raw topic, only those whose topics are fit: clean exists and has at least raw's partitions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_config(settings))
        self.rights = Rights(settings)
        self._refused: dict[str, str] = {}
        self.types: dict[str, EventType] = {}

    async def update(self, snapshot: Snapshot) -> bool:
        """Take over a snapshot. True when every wanted type is in `types`; else call again, its topics are not there yet."""
        wanted = wanted_types(snapshot, self._settings.types, (self._settings.shard, self._settings.shards))
        new = [found for topic, found in wanted.items() if topic not in self.types]
        refused: dict[str, str] = {}
        if new:
            names = [name for found in new for name in (raw_topic(found.event), clean_topic(found.event))]
            try:
                counts = await asyncio.to_thread(partition_counts, self._admin, names, 5.0)
            except BrokerUnavailable:
                return False
            refused = {found.event: reason for found in new if (reason := _unfit(found.event, counts))}
        sound = [found.event for found in new if found.event not in refused]
        forbidden = await asyncio.to_thread(self._forbidden, sound) if sound or self.rights.lacking else set()
        for event, reason in refused.items():
            if self._refused.get(event) != reason:
                log.warning("event type is not read yet", event_type=event, reason=reason)
        self._refused = refused
        self.types = {topic: found for topic, found in wanted.items() if found.event not in refused.keys() | forbidden}
        return not refused and not forbidden

    def _forbidden(self, events: Collection[str]) -> set[str]:
        """Those that this user may not read on raw, or not write on raw and clean. Blocking."""
        needs = {raw_topic(event): (READ, WRITE) for event in events} | {clean_topic(event): (WRITE,) for event in events}
        self.rights.allowed(needs)
        return {event_type_of(topic) for topic in self.rights.lacking}


def wanted_types(snapshot: Snapshot, patterns: Iterable[str] = ("*",), shard: tuple[int, int] = (0, 1)) -> dict[str, EventType]:
    """Event types of this shard (number, of how many), by raw topic: all that may have topics.

    A blocked type's last events still belong into sealed hours.
    """
    return {
        raw_topic(found.event): found
        for found in snapshot.types.values()
        if found.lifecycle != "draft"
        and shard_of(found.event, shard[1]) == shard[0]
        and any(fnmatchcase(found.event, pattern) for pattern in patterns)
    }


def _unfit(event: str, counts: Mapping[str, int]) -> str:
    raw, clean = raw_topic(event), clean_topic(event)
    for topic in (raw, clean):
        if topic not in counts:
            return f"topic {topic} does not exist (the registry creates it)"
    if counts[clean] < counts[raw]:
        return f"{clean} has {counts[clean]} partitions, fewer than the {counts[raw]} of {raw}: grow clean first"
    return ""
