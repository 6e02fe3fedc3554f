"""What the receiver knows of an event type when an event arrives: its declaration and its compiled codec, or why not.

Follows the tail's snapshot without being told: a new snapshot is another object. Codecs are compiled at first use and kept by schema id,
so that ten thousand declared types cost nothing until their events come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from hourmark.errors import BlockedEventType, InvariantBroken, SdkNotBound
from hourmark.schemas import Entry, EventType, Snapshot
from hourmark.topics import raw_topic

from .codec import Codec
from .measures import TOTALS

log = structlog.get_logger()

LIVE: Final = ("active", "deprecated")
PROVEN_AT_ONCE: Final = 20


class Tail(Protocol):
    """Where snapshots come from: hourmark.control.ControlTail, or a fixed one in tests. `offer` takes what the registry told meanwhile.

    `caught_up` is set once the catalogue of now has been read: before that a snapshot may be an old one from the disk.
    """

    snapshot: Snapshot
    caught_up: threading.Event

    def start(self) -> Any: ...
    def close(self) -> None: ...
    def offer(self, changes: list[tuple[str, Entry | None]]) -> None: ...


class Plan:
    """How events of one type are treated; valid as long as its snapshot. `notice`: told to senders of a deprecated type, else empty."""

    __slots__ = ("codec", "event_type", "key", "name", "notice", "partitions", "tier", "topic", "totals")

    def __init__(self, entry: EventType, codec: Codec) -> None:
        self.event_type = entry
        self.name, self.tier, self.key, self.partitions = entry.event, entry.tier, entry.key, entry.partitions
        self.topic = raw_topic(entry.event)
        self.codec = codec
        self.totals = TOTALS.of_type(entry.event)
        self.notice = _notice(entry) if entry.lifecycle == "deprecated" else ""

    def admit(self, sdk: str) -> None:
        """Raises BlockedEventType or SdkNotBound."""
        if self.event_type.lifecycle == "blocked":
            raise BlockedEventType(_why_blocked(self.event_type))
        if not self.event_type.admits_sdk(sdk):
            raise SdkNotBound(f"the SDK {sdk!r} may not send {self.name}; bound are {', '.join(self.event_type.sdks)}"[:300])


def _why_blocked(entry: EventType) -> str:
    instead = f"; send {entry.replaced_by} instead" if entry.replaced_by else ""
    return f"{entry.event} is blocked by its owner{': ' if entry.reason else ''}{entry.reason}{instead}"


def _notice(entry: EventType) -> str:
    """`player.song_played;until=2027-03-01;replaced_by=player.song_played_v2`: names and dates only, fit for a header."""
    facts = {"until": entry.until, "replaced_by": entry.replaced_by}
    return ";".join([entry.event, *(f"{name}={value}" for name, value in facts.items() if value)])


class Catalogue:
    """Plans by event type, for the snapshot of now."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._seen: Snapshot | None = None
        self._plans: dict[str, Plan] = {}
        self._codecs: dict[int, Codec] = {}
        self._unusable: dict[int, InvariantBroken] = {}
        self._proven: Mapping[str, EventType] = {}

    def prove(self, snapshot: Snapshot) -> None:
        """Compile the schemas that are new in this snapshot, unless they are many: at a start they wait for their first events.

        Called on another thread, before the revision counts as applied. Raises InvariantBroken: it does not count.
        """
        before, self._proven = self._proven, snapshot.types
        new = [entry for name, entry in snapshot.types.items() if name not in before or before[name].schema_id != entry.schema_id]
        if len(new) > PROVEN_AT_ONCE:
            return
        for entry in new:
            if entry.lifecycle in LIVE:
                self._codec(entry, snapshot)

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot()

    def live(self, event_type: str) -> bool:
        """Whether it has a plan, as far as is known without compiling one."""
        snapshot = self._snapshot()
        entry = snapshot.types.get(event_type)
        known = entry is not None and entry.schema_id in snapshot.schemas and entry.schema_id not in self._unusable
        return known and entry is not None and (entry.lifecycle in LIVE or entry.lifecycle == "blocked")

    def plan(self, event_type: str) -> Plan | None:
        """None: no such type is declared, or it is a draft. Raises InvariantBroken when its schema cannot be used."""
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen, self._plans = snapshot, {}
        found = self._plans.get(event_type)
        if found is not None:
            return found
        entry = snapshot.types.get(event_type)
        if entry is None or (entry.lifecycle not in LIVE and entry.lifecycle != "blocked"):
            return None
        codec = self._codec(entry, snapshot)
        if codec is None:
            return None
        found = self._plans[event_type] = Plan(entry, codec)
        return found

    def _codec(self, entry: EventType, snapshot: Snapshot) -> Codec | None:
        codec = self._codecs.get(entry.schema_id)
        if codec is not None:
            return codec
        if entry.schema_id in self._unusable:
            raise self._unusable[entry.schema_id]
        schema = snapshot.schemas.get(entry.schema_id)
        if schema is None:
            return None  # the type overtook its schema: unknown until it is here
        try:
            codec = self._codecs[entry.schema_id] = Codec(schema)
        except InvariantBroken as exc:
            self._unusable[entry.schema_id] = exc
            told = "a wire schema cannot be used; its events are answered `retry`"
            log.error(told, code=exc.code, event_type=entry.event, schema_id=entry.schema_id, error=exc.message)
            raise
        return codec
