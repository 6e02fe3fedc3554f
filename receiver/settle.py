"""Parked events, once more on their way: to records for the raw topic, or for `rejected` with the reason, exactly as an HTTP request would.

Their envelope is the one of the request that brought them: ids, times, sequence, attempt and sender stay what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from hourmark.errors import EventTooLarge, InvalidEnvelope, Rejected
from hourmark.parked import Replayed, read_parked
from hourmark.topics import PARKED, Tier

from .catalogue import Plan
from .codec import Sender, sender_bytes
from .delivery import Record
from .encode import encode
from .envelope import Batch, Event, parse_event
from .kept import REJECT_MAX, Origin, Refusals

NOBODY: Final = Sender("", "", "", None, 0, 0)


class Parked(NamedTuple):
    """A record of `parked`. `at_ms`: its append time."""

    offset: int
    event_type: str
    value: bytes
    at_ms: int


class Settled(NamedTuple):
    """`records[i]` is of the event at `indexes[i]` of the input, in its order. `faults`: why an event is rejected."""

    records: list[Record]
    indexes: list[int]
    faults: dict[int, Rejected]
    sizes: dict[Tier, int]


class _Opened(NamedTuple):
    event: Event | None
    event_id: bytes
    sender: Sender
    original: bytes


class Chunk:
    """Consecutive parked events of one partition, all of types that have a plan."""

    def __init__(self, partition: int, parked: Sequence[Parked], plans: Mapping[str, Plan], at: int) -> None:
        """`at`: ms since 1970, when they are settled."""
        self.parked = parked
        self._partition, self._plans, self._at = partition, plans, at
        self._faults: dict[int, Rejected] = {}
        self._opened = [self._open(index, one) for index, one in enumerate(parked)]

    def settle(self) -> Settled:
        made: dict[int, Record] = {}
        sizes: Counter[Tier] = Counter()
        batch = Batch(NOBODY, [one.event for one in self._opened], [one.event_id for one in self._opened], {}, b"")
        for (name, sender), indexes in self._groups().items():
            plan = self._plans[name]
            try:
                plan.admit(sender.sdk)
            except Rejected as exc:
                self._faults.update(dict.fromkeys(indexes, exc))
                continue
            encoded = encode(batch, plan, indexes, sender_bytes(sender), self._faults.__setitem__)
            sizes[plan.tier] += sum(map(len, encoded.values))
            for index, value, key, partition in zip(encoded.indexes, encoded.values, encoded.keys, encoded.partitions, strict=True):
                made[index] = (plan.topic, value, key, partition, None)
        for index in self._faults:
            made[index] = record = self._refused(index)
            sizes["debug"] += len(record[1])
        indexes = sorted(made)
        return Settled([made[index] for index in indexes], indexes, self._faults, dict(sizes))

    def too_large(self, indexes: Sequence[int], most: int) -> list[Record]:
        """Events that their topic did not take after all: records for `rejected`."""
        self._faults.update(dict.fromkeys(indexes, EventTooLarge("Kafka's limit for the topic is smaller than the event")))
        return [self._refused(index, most) for index in indexes]

    def progress(self, done: Mapping[str, Replayed]) -> list[Replayed]:
        """What is to be written down once all of them are acknowledged; `done` is what was there before."""
        last = {one.event_type: one.offset for one in self.parked}
        rejected = Counter(self.parked[index].event_type for index in self._faults)
        counts = Counter(one.event_type for one in self.parked)
        found = []
        for name, offset in last.items():
            before = done.get(name) or Replayed(type=name, partition=self._partition, next=0)
            good, bad = counts[name] - rejected[name], rejected[name]
            found.append(
                msgspec.structs.replace(
                    before, next=offset + 1, replayed=before.replayed + good, rejected=before.rejected + bad, at=self._at
                )
            )
        return found

    def _open(self, index: int, one: Parked) -> _Opened:
        try:
            kept = read_parked(one.value)
            event, event_id = parse_event(kept.event)
            if event.type != one.event_type:
                raise ValueError(f"its header says {one.event_type}, the event says {event.type}"[:300])
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            self._faults[index] = InvalidEnvelope(f"no event that a receiver has parked: {exc}")
            return _Opened(None, b"", NOBODY, one.value)
        said = kept.envelope
        sender = Sender(said.sdk, said.sdk_version, said.app, said.install, said.sent_at, said.received_at)
        return _Opened(event, event_id, sender, bytes(kept.event))

    def _groups(self) -> dict[tuple[str, Sender], list[int]]:
        found: dict[tuple[str, Sender], list[int]] = {}
        for index, one in enumerate(self.parked):
            if index not in self._faults:
                found.setdefault((one.event_type, self._opened[index].sender), []).append(index)
        return found

    def _refused(self, index: int, most: int = REJECT_MAX) -> Record:
        one, opened = self.parked[index], self._opened[index]
        origin = Origin(PARKED, self._partition, one.offset)
        refusals = Refusals(opened.sender, self._at)
        return refusals.record(one.event_type, opened.event_id, self._faults[index], opened.original, origin, most)
