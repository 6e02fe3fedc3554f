"""Kafka and the control topic as the receiver sees them, in memory; and a catalogue to test with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from hourmark.errors import BrokerUnavailable, InvariantBroken
from hourmark.event import ENVELOPE
from hourmark.schemas import EMPTY, Entry, EventType, Snapshot, WireSchema, WriteKey, avro_text, entry_key, token_digest
from receiver.delivery import Delivery, Record

TOKEN = "s3cret"
LIMITED = "l1mited"


class FakePublisher:
    """Stores records in a list at once, unless told to fail (`failure`), to hold (`held`), to refuse (`away`), or by size (`limits`)."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.broken: InvariantBroken | None = None
        self.failure: BrokerUnavailable | None = None
        self.away: BrokerUnavailable | None = None
        self.limits: dict[str, int] = {}  # bytes that a topic takes
        self.free = asyncio.Event()
        self.free.set()

    def start(self) -> None:
        """Nothing runs."""

    def publish(self, records: Sequence[Record]) -> asyncio.Future[Delivery]:
        return asyncio.ensure_future(self._publish(list(records)))

    async def _publish(self, records: list[Record]) -> Delivery:
        await self.free.wait()
        delivery = Delivery(len(records), lambda _: None)
        for index, record in enumerate(records):
            if self.failure is not None:
                delivery.failed(self.failure)
                continue
            if len(record[1]) > self.limits.get(record[0], len(record[1])):
                delivery.too_large(index)
                continue
            offset = sum(1 for topic, _, _, partition, _ in self.records if (topic, partition) == (record[0], record[3]))
            delivery.stored(index, offset, 1_772_348_400_000)
            self.records.append(record)
        return delivery

    def refusal(self) -> BrokerUnavailable | None:
        return self.away

    def not_ready(self) -> str | None:
        return None if self.away is None else self.away.message

    async def close(self, timeout: float) -> None:
        """Nothing is on its way."""


class FixedTail:
    """A snapshot that only `offer` changes; it is the one of now unless `caught_up` is cleared."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.caught_up = threading.Event()
        self.caught_up.set()

    def start(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""

    def offer(self, changes: list[tuple[str, Entry | None]]) -> None:
        self.snapshot = self.snapshot.with_changes(changes)


def wire(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """A wire schema with these payload fields."""
    return {"type": "record", "name": name, "namespace": "test", "fields": [*ENVELOPE, *fields]}


def declared(event: str, schema_id: int, fields: list[dict[str, Any]], **facts: Any) -> list[Entry]:
    text = avro_text(wire(f"E{schema_id}", fields))
    schema = WireSchema(revision=schema_id, schema_id=schema_id, event=event, version=1, fingerprint="", text=text)
    return [schema, EventType(revision=schema_id, event=event, owner="test", schema_id=schema_id, **{"partitions": 4, **facts})]


def snapshot(*entries: Entry) -> Snapshot:
    keys = [
        WriteKey(revision=1, name="all", token_sha256=token_digest(TOKEN)),
        WriteKey(revision=1, name="limited", token_sha256=token_digest(LIMITED), types=("play.*",)),
    ]
    return EMPTY.with_changes((entry_key(entry), entry) for entry in [*entries, *keys])


PLAYED: list[dict[str, Any]] = [
    {"name": "track", "type": "string"},
    {"name": "ms_played", "type": "long"},
    {"name": "rank", "type": "int", "default": 7},
    {"name": "country", "type": ["null", "string"], "default": None},
    {"name": "volume", "type": "double", "default": 1.0},
    {
        "name": "device",
        "type": ["null", {"type": "record", "name": "Device", "fields": [{"name": "tags", "type": {"type": "array", "items": "long"}}]}],
        "default": None,
    },
    {"name": "counts", "type": {"type": "map", "values": "long"}, "default": {}},
    {"name": "seen_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
]


TIGHT = {"type": "fixed", "name": "Tight", "size": 2, "logicalType": "decimal", "precision": 10, "scale": 0}
SWOLLEN = {"type": "record", "name": "Swollen", "fields": [{"name": "text", "type": "string", "default": "x" * 1000}]}


def catalogue() -> Snapshot:
    """`play.song` is all in order; its neighbours are keyed, bound to an SDK, blocked, a draft, and of the debug tier."""
    return snapshot(
        *declared("play.song", 1, PLAYED, tier="critical"),
        *declared("play.keyed", 2, [{"name": "user", "type": ["null", "string"], "default": None}], key="user"),
        *declared("play.bound", 3, [{"name": "x", "type": "long"}], sdks=("special",)),
        *declared("play.blocked", 4, [{"name": "x", "type": "long"}], lifecycle="blocked"),
        *declared("play.draft", 5, [{"name": "x", "type": "long"}], lifecycle="draft"),
        *declared("play.tight", 7, [{"name": "price", "type": TIGHT}]),
        *declared("play.swollen", 8, [{"name": "many", "type": {"type": "array", "items": SWOLLEN}}]),
        *declared("play.debug", 6, [{"name": "text", "type": "string"}], tier="debug"),
    )
