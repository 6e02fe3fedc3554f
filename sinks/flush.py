"""One flush: what is buffered of a partition becomes parts, refused records on `rejected`, and then one commit entry.

Order: rejects acknowledged → parts durable → entry. A crash between any two leaves only parts that nobody names.
"""

from __future__ import annotations

from typing import IO, NamedTuple

import pyarrow as pa

from hourmark.crashpoints import crashpoint
from hourmark.errors import RegistryUnavailable, SchemaMismatch
from hourmark.event import FLAG_SKEWED, ID_END, ID_START
from hourmark.hours import label
from hourmark.rejects import Reject
from hourmark.topics import clean_topic, raw_topic

from . import layout
from .arrow import Shape, shape_of
from .batches import UNFRAMED, Group, PartitionBuffer
from .catalogue import Schemas
from .commits import CommitChain, Tip
from .decode import Decoder, Poison, Run
from .manifest import CommitEntry, HourCount, PartRef
from .outbox import Outbox, Refused
from .parts import write_sorted
from .store import Store

FOREIGN_CODE = "foreign_record"


class Shapes:
    """Compiled wire schemas, kept."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._known: dict[int, Shape] = {}

    def get(self, schema_id: int, event_type: str) -> Shape | None:
        """None: there is no such schema, or it belongs to another event type. Raises RegistryUnavailable: ask again later."""
        shape = self._known.get(schema_id)
        if shape is None:
            schema = self._schemas.get(schema_id, event_type)
            if schema is None or schema.event != event_type:
                return None
            try:
                shape = shape_of(schema)
            except (ValueError, KeyError, TypeError, pa.ArrowException) as exc:
                raise RegistryUnavailable(f"schema {schema_id} of {event_type} fits no lake: {exc}", retry_after=10.0) from exc
            if schema.version:  # one read through the registry has no version yet: the catalogue will bring it
                self._known[schema_id] = shape
        return shape


class Flushed(NamedTuple):
    """`tip` now ends the chain. `entry` is what we offered; `won` False: another worker was first, and ours counts for nothing."""

    tip: Tip
    entry: CommitEntry
    won: bool


class Flusher:
    def __init__(self, store: Store, shapes: Shapes, decoder: Decoder, outbox: Outbox, writer: str) -> None:
        self._store, self._shapes, self._decoder, self._outbox, self._writer = store, shapes, decoder, outbox, writer
        self._chain = CommitChain(store)

    def flush(self, buffer: PartitionBuffer, at_ms: int) -> Flushed:
        """Write out a buffer; it is used up, whatever happens. Raises Unavailable: rewind to the chain's tip and try again later."""
        shapes = {schema_id: self._shape(schema_id, buffer) for _, schema_id in sorted(buffer.groups)}
        counts: dict[int, HourCount] = {}
        parts: list[PartRef] = []
        refused = [self._foreign(buffer, item.offset, item.value, item.reason, at_ms) for item in buffer.foreign]
        for hour, schema_id in sorted(buffer.groups):
            group, count = buffer.groups[hour, schema_id], counts.setdefault(hour, HourCount())
            writing = _Writing(buffer, hour, count, shapes[schema_id], at_ms)
            part = self._write(group, writing, refused)
            if part is not None:
                parts.append(part)
        if refused:
            self._outbox.reject(refused)
        entry = CommitEntry(
            type=buffer.partition.event_type,
            partition=buffer.partition.number,
            first=buffer.tip.next,
            next=buffer.next + buffer.tip.shift,
            mark=buffer.mark,
            closed=buffer.closed,
            parts=parts,
            hours=counts,
            barriers=buffer.barriers,
            repeats=buffer.repeats,
            foreign=len(buffer.foreign),
            previous=buffer.tip.digest,
            writer=self._writer,
            appended_ms=buffer.appended_ms,
            seam=buffer.tip.seam,
        )
        crashpoint("sink.before_entry")
        tip, won = self._chain.extend(buffer.tip, entry)
        crashpoint("sink.entry_created")
        return Flushed(tip, entry, won)

    def _shape(self, schema_id: int, buffer: PartitionBuffer) -> Shape | None:
        return None if schema_id == UNFRAMED else self._shapes.get(schema_id, buffer.partition.event_type)

    def _write(self, group: Group, writing: _Writing, refused: list[Refused]) -> PartRef | None:
        size, tables = group.bytes, []
        for run in group.drain():
            if writing.shape is None:
                poison = [Poison(index, "no schema of this event type has the record's schema id") for index in range(len(run.ends))]
            else:
                found, poison = self._decoder.decode(writing.shape, run)
                tables += found
            refused += [writing.refuse(run, item) for item in poison]
            writing.sums.poisoned += len(poison)
            size -= sum(len(run.value(item.at)) for item in poison)  # whatever it was flushed with, the hour's bytes are the same
            flags = run.stamps["flags"] & FLAG_SKEWED
            writing.sums.skewed += int((flags != 0).sum()) - sum(1 for item in poison if flags[item.at])
        if not tables or writing.shape is None:
            return None
        shape = writing.shape
        path, schema, rows = writing.path(group.digest()), pa.schema(list(shape.stored.items())), sum(table.num_rows for table in tables)

        def fill(file: IO[bytes]) -> None:
            write_sorted(tables, schema, file)

        stored = self._store.write(path, fill)
        writing.sums.written += rows
        return PartRef(
            path=path, hour=writing.hour, schema_id=shape.schema_id, rows=rows, bytes=stored.bytes, sha256=stored.sha256, events_bytes=size
        )

    def _foreign(self, buffer: PartitionBuffer, offset: int, value: bytes, reason: str, at_ms: int) -> Refused:
        name, number = buffer.partition
        reject = Reject(
            room="sinks",
            code=FOREIGN_CODE,
            event_type=name,
            detail=reason,
            at=at_ms,
            topic=clean_topic(name),
            partition=number,
            offset=offset,
        )
        return Refused(value, reject)


class _Writing(NamedTuple):
    """What is the same for all events of one group in one flush."""

    buffer: PartitionBuffer
    hour: int
    sums: HourCount
    shape: Shape | None
    at_ms: int

    def path(self, digest: str) -> str:
        assert self.shape is not None
        first, last = self.buffer.tip.next, self.buffer.next + self.buffer.tip.shift - 1
        name = f"{first:020d}-{last:020d}-{label(self.hour)}-s{self.shape.schema_id}-{digest}"
        return layout.part(*self.buffer.partition, name)

    def refuse(self, run: Run, poison: Poison) -> Refused:
        value, stamp, name = run.value(poison.at), run.stamps[poison.at], self.buffer.partition.event_type
        reject = Reject(
            room="sinks",
            code=SchemaMismatch.code,
            event_type=name,
            detail=poison.reason[:500],
            event_id=value[ID_START:ID_END].hex() if len(value) >= ID_END else "",
            at=self.at_ms,
            topic=raw_topic(name),
            partition=int(stamp["partition"]),
            offset=int(stamp["offset"]),
        )
        return Refused(value, reject)
