"""What the sink's tests need: wire schemas and events, a dedup worker on paper (`Feed`), and a lake in a dict."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Iterable, Sequence
from typing import IO, Any, NamedTuple

import fastavro

from hourmark.event import ENVELOPE, FLAG_SKEWED, STAMP, STAMP_HEADER, CleanBarrier, Tally, clean_barrier_headers, frame
from hourmark.schemas import EMPTY, EventType, Snapshot, WireSchema, avro_text, entry_key
from sinks.layout import SUCCESS
from sinks.manifest import SealedHour, digest
from sinks.outbox import Refused
from sinks.store import Fill, Stored

HOUR_MS = 3_600_000
HOUR = 492_000  # an hour of 2026 to count from


def wire_schema(event_type: str, schema_id: int, fields: Sequence[dict[str, Any]], version: int = 1) -> WireSchema:
    namespace, _, name = event_type.rpartition(".")
    avro = {"type": "record", "name": name, "namespace": f"wire.{namespace}", "fields": [*map(dict, ENVELOPE), *fields]}
    numbers = {"revision": schema_id, "schema_id": schema_id, "version": version}
    return WireSchema(event=event_type, fingerprint=f"fp{schema_id}", text=avro_text(avro), **numbers)


def declared(event_type: str, schema: WireSchema, partitions: int = 1, **extra: Any) -> EventType:
    return EventType(
        revision=1, event=event_type, owner="t", schema_id=schema.schema_id, schema_version=schema.version, partitions=partitions, **extra
    )


def snapshot_of(*entries: EventType | WireSchema) -> Snapshot:
    return EMPTY.with_changes((entry_key(entry), entry) for entry in entries)


def event_id(number: int) -> bytes:
    return uuid.UUID(int=(0x0195 << 112) | (7 << 76) | (2 << 62) | number).bytes


def value_of(schema: WireSchema, number: int, payload: dict[str, Any], time_us: int | None = None) -> bytes:
    """A framed event."""
    moment = HOUR * HOUR_MS * 1000 + number if time_us is None else time_us
    envelope = {
        "_event_id": event_id(number),
        "_event_time": moment,
        "_sent_at": moment,
        "_received_at": moment,
        "_sdk": "test",
        "_sdk_version": "1",
        "_app": "app",
        "_install_id": None,
        "_sequence": number,
        "_attempt": 1,
    }
    out = io.BytesIO(frame(schema.schema_id))
    out.seek(0, 2)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema.avro), envelope | payload)
    return out.getvalue()


class Clean(NamedTuple):
    """A record on a clean partition."""

    value: bytes | None
    headers: list[tuple[str, bytes]]


class Feed:
    """A dedup worker on paper, for one raw partition: stamps records, keeps the tallies, and forwards barriers that balance."""

    def __init__(self, partition: int = 0, source: int = 1, created_in: int = HOUR - 1) -> None:
        self.partition, self.source = partition, source
        self.offset = 0
        self.closed: int | None = None
        self.out: list[Clean] = []
        self._tallies: dict[int, Tally] = {}
        self._first = self._seen = self._carried = 0
        self.barrier(created_in)

    def record(self, value: bytes, hour: int, *, skewed: bool = False) -> Clean:
        tally = self._tallies.setdefault(hour, Tally())
        tally.consumed += 1
        tally.forwarded += 1
        tally.skewed += skewed
        flags = FLAG_SKEWED if skewed else 0
        stamp = STAMP.pack(1, self.source, self.partition, self.offset, hour * HOUR_MS + self.offset % HOUR_MS, hour, flags)
        return self._out(Clean(value, [(STAMP_HEADER, stamp)]))

    def duplicate(self, hour: int) -> None:
        """A raw record that is not forwarded."""
        tally = self._tallies.setdefault(hour, Tally())
        tally.consumed += 1
        tally.duplicates += 1
        self.offset += 1
        self._seen += 1

    def barrier(self, hour: int, **wrong: Any) -> Clean:
        closing = {h: self._tallies.pop(h) for h in sorted(self._tallies) if h <= hour}
        left = sum(tally.consumed for tally in self._tallies.values())
        facts: dict[str, Any] = {
            "hour": hour,
            "source": self.source,
            "partition": self.partition,
            "offset": self.offset,
            "append_ms": (hour + 1) * HOUR_MS,
            "first": self._first,
            "seen": self._seen,
            "barriers": 1,
            "carried": self._carried,
            "left": left,
            "tallies": closing,
        }
        barrier = CleanBarrier(**(facts | wrong))
        assert wrong or barrier.balanced()
        self.closed = hour
        self._first, self._seen, self._carried = self.offset + 1, -1, left
        return self._out(Clean(None, clean_barrier_headers(barrier)))

    def _out(self, record: Clean) -> Clean:
        self.offset += 1
        self._seen += 1
        self.out.append(record)
        return record


class DictStore:
    """A lake in memory. `refuse`: raise this at the next write (tests of a lake that is away or full)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written: dict[str, float] = {}  # when, for tests of ages; 0 otherwise
        self.refuse: Exception | None = None

    def create(self, path: str, data: bytes) -> bool:
        if self.refuse is not None:
            raise self.refuse
        return self.files.setdefault(path, data) is data

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def names(self, folder: str, after: str = "") -> list[str]:
        found = (path[len(folder) + 1 :] for path in self.files if path.startswith(folder + "/"))
        return sorted(name for name in found if "/" not in name and name > after)

    def folders(self, folder: str) -> list[str]:
        found = (path[len(folder) + 1 :] for path in self.files if path.startswith(folder + "/"))
        return sorted({name.split("/")[0] for name in found if "/" in name})

    def write(self, path: str, fill: Fill) -> Stored:
        file = io.BytesIO()
        fill(file)
        data = bytes(file.getvalue())
        self.create(path, data)
        return Stored(len(self.files[path]), digest(self.files[path]))

    def open(self, path: str) -> IO[bytes]:
        return io.BytesIO(self.files[path])

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def publication(self, folder: str) -> DictPublication:
        return DictPublication(self, folder)

    def aged(self, folder: str) -> dict[str, float]:
        return {name: self.written.get(f"{folder}/{name}", 0.0) for name in self.names(folder)}


class DictPublication:
    def __init__(self, store: DictStore, folder: str) -> None:
        self._store, self._folder = store, folder
        self._aside = DictStore()

    def write(self, name: str, fill: Fill) -> Stored:
        return self._aside.write(name, fill)

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        if f"{self._folder}/{SUCCESS}" in self._store.files:
            return False
        for name, data in [*self._aside.files.items(), *last]:
            self._store.create(f"{self._folder}/{name}", data)
        return True


class ListOutbox:
    """What would have been said on Kafka."""

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self.sealed: list[SealedHour] = []
        self.partitions = 0

    def reject(self, refused: Iterable[Refused]) -> None:
        self.refused += refused

    def announce(self, sealed: SealedHour) -> None:
        self.sealed.append(sealed)

    def width(self, event_type: str) -> int:
        return self.partitions


def random_payload(rng: random.Random) -> dict[str, Any]:
    return {"user": f"u{rng.randrange(100)}", "ms": rng.randrange(10**9)}


PAYLOAD = ({"name": "user", "type": "string"}, {"name": "ms", "type": "long"})
