"""One request on its way: which event became which record, and what to answer for it when the records are settled."""

from __future__ import annotations

import time
from collections import Counter as Tallies
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from hourmark.errors import BrokerUnavailable, DuplicateInBatch, EventTooLarge, InvalidEnvelope, Overloaded, Rejected, Unavailable
from hourmark.hours import Hours
from hourmark.topics import Tier

from . import answer
from .budget import RETRY_AFTER_S, Budget
from .catalogue import Plan
from .delivery import Delivery, Record
from .encode import Encoded
from .envelope import Batch, Event
from .kept import NO_ORIGIN, REJECT_MAX, Refusals, envelope_of, parked_record
from .measures import COPIES, PARKED_EVENTS, REJECTED_EVENTS, RETRIES, TOTALS
from .publisher import RETRY_AFTER_S as BROKER_RETRY_S

OVERSIZE_MAX = 512 * 1024  # the same, when Kafka takes less than we thought


class _Stored(NamedTuple):
    plan: Plan
    first: int  # position of the first record
    indexes: Sequence[int]
    partitions: Sequence[int]
    size: int


class _Refused(NamedTuple):
    """Faults with their records on `rejected`, or events on `parked` (error None)."""

    first: int
    indexes: Sequence[int]
    partitions: Sequence[int]
    errors: Sequence[Rejected | None]


class Work:
    """Filled by intake.py and encode.py (`fault`, `retry_all`, `store`, `park`, `reject`), then published, then asked for its `answer`."""

    def __init__(self, batch: Batch, hours: Hours, now: Callable[[], float], request_id: str = "") -> None:
        self.batch = batch
        self.retry = ""  # code of the first reason why events are to be sent again, once answered
        self._request_id = request_id
        self.records: list[Record] = []
        self._hours, self._now = hours, now
        self._faults: dict[int, tuple[str, Rejected]] = {index: (f.event_type, f.error) for index, f in batch.faults.items()}
        self._retries: dict[int, Unavailable] = {}
        self._stored: list[_Stored] = []
        self._refused: list[_Refused] = []
        self._oversize: dict[int, Rejected] = {}
        self._reserved: list[tuple[Tier, int]] = []
        self._raws: list[Raw] | None = None
        self._copies = _copies(batch) if len(set(batch.ids)) < len(batch.ids) else {}
        self._conflicts = {first for first, equal in self._copies.values() if not equal}  # another event took their id

    def groups(self) -> dict[str, list[int]]:
        """Positions of the events by type, without faults and copies."""
        found: dict[str, list[int]] = {}
        copies = self._copies
        for index, event in enumerate(self.batch.events):
            if event is not None and index not in copies:
                indexes = found.get(event.type)
                if indexes is None:
                    indexes = found[event.type] = []
                indexes.append(index)
        return found

    def raws(self) -> list[Raw]:
        if self._raws is None:
            self._raws = self.batch.raws()
        return self._raws

    def settled(self, index: int) -> bool:
        return index in self._faults

    def fault(self, index: int, error: Rejected) -> None:
        event = self.batch.events[index]
        self._faults[index] = (event.type if event is not None else "", error)

    def fault_all(self, indexes: Sequence[int], error: Rejected) -> None:
        for index in indexes:
            self.fault(index, error)

    def retry_all(self, indexes: Sequence[int], error: Unavailable) -> None:
        self._retries.update(dict.fromkeys(indexes, error))

    def store(self, plan: Plan, encoded: Encoded, budget: Budget) -> None:
        """Events for their raw topic, if their tier has room for all of them."""
        size = sum(map(len, encoded.values))
        if not self._reserve(plan.tier, size, encoded.indexes, budget):
            return
        self._stored.append(_Stored(plan, len(self.records), encoded.indexes, encoded.partitions, size))
        topic = plan.topic
        self.records += [
            (topic, value, key, partition, None)
            for value, key, partition in zip(encoded.values, encoded.keys, encoded.partitions, strict=True)
        ]

    def park(self, indexes: Sequence[int], budget: Budget) -> None:
        """Events of a type that nobody has declared yet: kept as they came, with what their envelope says."""
        raws, sender = self.raws(), self.batch.sender
        kept: list[int] = []
        records: list[Record] = []
        envelope = envelope_of(sender)
        for index in indexes:
            raw, event = raws[index], self.batch.events[index]
            try:
                msgspec.json.decode(raw)  # a payload is only skipped over until its schema is known
            except (msgspec.DecodeError, RecursionError, UnicodeError) as exc:
                self.fault(index, InvalidEnvelope(f"the event is not readable: {exc}"))
                continue
            kept.append(index)
            records.append(parked_record(event.type if event else "", self.batch.ids[index], envelope, bytes(raw)))
        self._add_refused(kept, records, [None] * len(kept), budget)

    def reject(self, budget: Budget) -> None:
        """All faults, with the event's own bytes, for the rejected topic."""
        if not self._faults:
            return
        indexes = [index for index in self._faults if index not in self._copies]
        errors = [self._faults[index][1] for index in indexes]
        self._add_refused(indexes, self._reject_records(indexes, REJECT_MAX), errors, budget)

    def reject_oversize(self, delivery: Delivery) -> list[Record]:
        """Events that their topic does not take, whatever the limits here say: records for the rejected topic, for one more `publish`."""
        parts: list[_Stored | _Refused] = [*self._stored, *self._refused]
        for part in parts:
            for position, index in enumerate(part.indexes, part.first):
                if position in delivery.oversize:
                    if index not in self._faults:
                        self.fault(index, EventTooLarge("Kafka's limit for the topic is smaller than the event"))
                    self._oversize[index] = self._faults[index][1]
        return self._reject_records(list(self._oversize), OVERSIZE_MAX)

    def _reject_records(self, indexes: Sequence[int], most: int) -> list[Record]:
        raws, refusals = self.raws(), Refusals(self.batch.sender, int(self._now() * 1000), self._request_id)
        records: list[Record] = []
        for index in indexes:
            event_type, error = self._faults[index]
            records.append(refusals.record(event_type, self._id(index), error, bytes(raws[index]), NO_ORIGIN, most))
        return records

    def refuse_if_nothing_accepted(self) -> None:
        """Raises the first reason when every event would have to be sent again: then the request is refused as a whole."""
        if not self.records and self._retries:
            raise next(iter(self._retries.values()))

    def release(self, budget: Budget) -> None:
        for tier, size in self._reserved:
            budget.release(tier, size)

    def answer(self, delivery: Delivery, second: Delivery | None = None) -> bytes:
        """The body of the answer, once all records are settled; `second` are those of `reject_oversize`. Counts what was done."""
        verdicts = [""] * len(self.batch.events)
        failure, again = delivery.failure, ""
        if failure is not None:
            if not isinstance(failure, Unavailable):
                failure = BrokerUnavailable("Kafka has not stored the event", retry_after=BROKER_RETRY_S)
            again = answer.retry(failure)
        lost = 0
        for part in self._stored:
            lost += self._answer_stored(part, delivery, verdicts, again)
        for index in self._conflicts:
            verdicts[index] = verdicts[index].replace('"stored",', f'"stored","code":"{DuplicateInBatch.code}",')
        for refused in self._refused:
            lost += self._answer_refused(refused, delivery, verdicts, again)
        if failure is not None:
            RETRIES.labels(failure.code).inc(lost - len(self._oversize))
            self.retry = failure.code
        if second is not None:
            self._answer_oversize(second, verdicts)
        for index, error in self._retries.items():
            verdicts[index] = answer.retry(error)
        for code, count in Tallies(error.code for error in self._retries.values()).items():
            RETRIES.labels(code).inc(count)
            self.retry = self.retry or code
        TOTALS.acknowledged(time.perf_counter() - delivery.started)
        return answer.results(self._entries(verdicts))

    def _answer_stored(self, part: _Stored, delivery: Delivery, verdicts: list[str], again: str) -> int:
        end = part.first + len(part.indexes)
        offsets, append_ms, partitions = delivery.offsets[part.first : end], delivery.append_ms[part.first : end], part.partitions
        for index, partition, offset in zip(part.indexes, partitions, offsets, strict=True):
            verdicts[index] = f'{{"verdict":"stored","partition":{partition},"offset":{offset}}}'
        lost = 0
        if min(offsets) < 0:
            for index, offset in zip(part.indexes, offsets, strict=True):
                if offset < 0:
                    verdicts[index], lost = again, lost + 1
            found = [(p, ms) for p, offset, ms in zip(partitions, offsets, append_ms, strict=True) if offset >= 0]
            partitions, append_ms = [p for p, _ in found], [ms for _, ms in found]
        if partitions:
            TOTALS.acked(self._hours, part.plan.name, partitions, append_ms)
            part.plan.totals.stored += len(partitions)
            part.plan.totals.bytes += part.size
        return lost

    def _answer_refused(self, part: _Refused, delivery: Delivery, verdicts: list[str], again: str) -> int:
        lost = parked = 0
        rejected: Tallies[tuple[str, str]] = Tallies()
        for position, (index, partition, error) in enumerate(zip(part.indexes, part.partitions, part.errors, strict=True), part.first):
            offset = delivery.offsets[position]
            if offset < 0:
                verdicts[index], lost = again, lost + 1
            elif error is None:
                verdicts[index], parked = answer.parked(partition, offset), parked + 1
            else:
                verdicts[index] = answer.rejected(error)
                rejected[self._faults[index][0], error.code] += 1
        if parked:
            PARKED_EVENTS.inc(parked)
        for (event_type, code), count in rejected.items():
            REJECTED_EVENTS.labels(TOTALS.declared(event_type), code).inc(count)
        return lost

    def _answer_oversize(self, second: Delivery, verdicts: list[str]) -> None:
        for (index, error), offset in zip(self._oversize.items(), second.offsets, strict=True):
            if offset >= 0:
                verdicts[index] = answer.rejected(error)
                REJECTED_EVENTS.labels(TOTALS.declared(self._faults[index][0]), error.code).inc()
            else:
                verdicts[index] = answer.retry(BrokerUnavailable("Kafka has not stored the event", retry_after=BROKER_RETRY_S))
                RETRIES.labels(BrokerUnavailable.code).inc()

    def _entries(self, verdicts: list[str]) -> list[str]:
        """`"<id>":<verdict>`, keyed by the id as it was sent; `#<position>` where there is none that can be used."""
        if not self._copies and not self.batch.faults:
            return [f'"{event.id}":{verdict}' for event, verdict in zip(self.batch.events, verdicts, strict=True)]  # type: ignore[union-attr]  # no faults
        entries: dict[str, str] = {}
        for index, (event, verdict) in enumerate(zip(self.batch.events, verdicts, strict=True)):
            key = event.id if event is not None else self.batch.faults[index].key
            entries.setdefault(key, verdicts[self._copies[index][0]] if index in self._copies else verdict)
        return [f'"{key}":{verdict}' for key, verdict in entries.items()]

    def _id(self, index: int) -> bytes:
        fault = self.batch.faults.get(index)
        return self.batch.ids[index] if fault is None else fault.event_id or b""

    def _add_refused(self, indexes: list[int], records: Sequence[Record], errors: Sequence[Rejected | None], budget: Budget) -> None:
        """Rejected and parked events share the budget of the debug tier: a broken sender must not crowd out the good ones."""
        size = sum(len(record[1]) for record in records)
        if indexes and self._reserve("debug", size, indexes, budget):
            self._refused.append(_Refused(len(self.records), indexes, [record[3] for record in records], errors))
            self.records += records

    def _reserve(self, tier: Tier, size: int, indexes: Sequence[int], budget: Budget) -> bool:
        if not budget.reserve(tier, size):
            self.retry_all(indexes, Overloaded(f"too many bytes of tier {tier} wait for Kafka", retry_after=RETRY_AFTER_S))
            return False
        self._reserved.append((tier, size))
        return True


def _copies(batch: Batch) -> dict[int, tuple[int, bool]]:
    """Position of each event whose id stood before in this request → (position of the first, whether they are equal)."""
    firsts: dict[bytes, int] = {}
    found: dict[int, tuple[int, bool]] = {}
    for index in range(len(batch.events)):
        fault = batch.faults.get(index)
        event_id = batch.ids[index] if fault is None else fault.event_id
        if event_id is None:
            continue
        first = firsts.setdefault(event_id, index)
        if first != index:
            equal = _same(batch.events[first], batch.events[index])
            found[index] = (first, equal)
            COPIES.labels("equal" if equal else "conflict").inc()
    return found


def _same(one: Event | None, other: Event | None) -> bool:
    if one is None or other is None:
        return False
    facts = (one.type, one.time, one.seq, one.attempt), (other.type, other.time, other.seq, other.attempt)
    return facts[0] == facts[1] and bytes(one.payload) == bytes(other.payload)
