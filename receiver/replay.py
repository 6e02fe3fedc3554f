"""Parked events go their way as soon as their type is declared: in order, at a bounded rate, behind the live traffic of their tier.

Whichever receiver owns a partition of `parked` does it. An event is settled when it is acknowledged on its raw topic or on `rejected`; only
then its offset is written to `hourmark.replays`. A crash in between repeats a few events with the same ids, and loses none.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from hourmark.crashpoints import crashpoint
from hourmark.errors import InvariantBroken, Unavailable
from hourmark.hours import Hours
from hourmark.schemas import EMPTY, Snapshot
from hourmark.topics import REPLAYS

from .budget import Budget
from .catalogue import Catalogue, Plan
from .delivery import Delivery
from .measures import PARKED_WAITING, REPLAY_REJECTED, REPLAYED, TOTALS
from .notice import Notice
from .parking import OneThread, ParkedLog, Seen
from .publisher import Publisher
from .settings import Settings
from .settle import Chunk, Parked, Settled
from .share import Share
from .waiting import Waiting
from .work import OVERSIZE_MAX

log = structlog.get_logger()

IDLE_S: Final = 0.5
PAUSE_S: Final = 1.0
RESTART_S: Final = 30.0
TOPICS_S: Final = 5.0
LEAVE_S: Final = 2.0
_LEISURE: Final = 4  # rest so many times as long as a look at other types' events took: live traffic needs the interpreter


@dataclass(slots=True)
class Pass:
    """The events of these types, from the offset `cursor` to `end`."""

    partition: int
    types: set[str]
    cursor: int
    end: int
    tally: Counter[str] = field(default_factory=Counter)


class Replay:
    """One task of the receiver's event loop, and one thread for what blocks. While nothing waits it looks twice a second, no more."""

    def __init__(self, settings: Settings, log: ParkedLog, catalogue: Catalogue, publisher: Publisher, budget: Budget) -> None:
        self._log, self._catalogue, self._publisher = log, catalogue, publisher
        self._hours: Hours = settings.hours
        self._share = Share(settings.replay_events_s, budget, publisher)
        self._notice = Notice(settings.parked_notice_h)
        self._thread = OneThread()
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._open = self._troubled = False
        self._snapshot: Snapshot = EMPTY
        self._epochs: dict[int, int] = {}
        self._waiting: dict[int, Waiting] = {}
        self._owned: dict[int, int] = {}
        self._pending: list[Seen] = []
        self._passes: list[Pass] = []

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    def waiting(self) -> int:
        """Events that wait in the partitions that are ours."""
        return sum(waiting.total for waiting in self._waiting.values())

    async def close(self, timeout: float) -> None:
        """Ends after the events that are on their way, at most `timeout` seconds from now."""
        self._stopping.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=timeout)
            for task in late:
                task.cancel()
        if self._open and self._publisher.refusal() is None:
            with suppress(TimeoutError):  # Kafka may be away without our knowing it yet; the others notice when we do not come back
                await asyncio.wait_for(self._leave(), LEAVE_S)
        self._thread.close()

    async def _leave(self) -> None:
        await self._thread.call(self._commit)
        await self._thread.call(self._log.close)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._round()
                self._troubled = False
            except Unavailable as exc:
                if not self._troubled:
                    log.warning("parked events wait a little longer", code=exc.code, error=exc.message)
                self._troubled = True
                await self._rest(PAUSE_S)
            except InvariantBroken as exc:
                log.error("parked events wait: their replay cannot go on", code=exc.code, message=exc.message)
                await self._anew()
            except Exception:  # live traffic must not end because a parked event is stranger than we thought
                log.exception("parked events wait after an unexpected error; their replay begins anew", code="internal")
                await self._anew()

    async def _anew(self) -> None:
        """After an error that leaves open what has been seen: leave the group, and after a while come back with an empty index."""
        with suppress(Exception):
            await self._thread.call(self._log.close)
        self._open, self._owned, self._pending = False, {}, []
        self._epochs.clear()
        self._waiting.clear()
        self._passes.clear()
        await self._rest(RESTART_S)

    async def _round(self) -> None:
        if not self._open:
            self._open = await self._thread.call(self._log.open)
            if not self._open:
                await self._rest(TOPICS_S)
                return
            log.info("parked events are looked after")
        busy = bool(self._passes)
        if not self._pending:
            took, (self._owned, self._pending) = await self._thread.timed(lambda: self._log.tail(0.0 if busy else IDLE_S))
            await self._rest(_LEISURE * took if self._pending else 0.0)
        await self._take()
        for one in list(self._passes):
            if not self._stopping.is_set():
                await self._step(one)
        if busy and not self._passes:
            await self._thread.call(self._log.rest)
        PARKED_WAITING.set(self.waiting())
        if self._notice.due():
            await self._thread.call(self._commit)
            await self._thread.call(lambda: self._notice.look(self._log, self._waiting))

    async def _take(self) -> None:
        """The index follows what is owned and what has come."""
        for partition in [p for p, epoch in self._epochs.items() if self._owned.get(p) != epoch]:
            del self._epochs[partition], self._waiting[partition]
            self._passes = [one for one in self._passes if one.partition != partition]
        for partition in self._owned.keys() - self._epochs.keys():
            done = await self._thread.call(lambda partition=partition: self._log.progress(partition))  # type: ignore[misc]  # bound here
            self._waiting[partition], self._epochs[partition] = Waiting(done), self._owned[partition]
        touched: dict[int, set[str]] = {}
        for partition, epoch, offset, name, at_ms in self._pending:
            if self._epochs.get(partition) == epoch:
                live = self._catalogue.live(name)
                if self._waiting[partition].saw(offset, name, at_ms, live) and live:
                    touched.setdefault(partition, set()).add(name)
        self._pending = []
        if self._catalogue.snapshot is not self._snapshot:
            self._follow(self._catalogue.snapshot)
        else:
            for partition, names in touched.items():
                self._begin(partition, names)

    def _follow(self, snapshot: Snapshot) -> None:
        """Another catalogue: types that wait may have become live."""
        known, self._snapshot = self._snapshot, snapshot
        changed = [
            name
            for name, entry in snapshot.types.items()
            if (known.types.get(name) is not entry or entry.schema_id not in known.schemas) and self._catalogue.live(name)
        ]
        for partition, waiting in self._waiting.items():
            for name in changed if waiting.others is not None else ():
                waiting.look_among_others(name)
            self._begin(partition, list(waiting.lines))

    def _begin(self, partition: int, names: Iterable[str]) -> None:
        """A pass for those of these types that are live and in no pass yet."""
        waiting = self._waiting[partition]
        active = {name for one in self._passes if one.partition == partition for name in one.types}
        starts = {
            name: max(line.first, waiting.settled_below(name))
            for name in names
            if name not in active and (line := waiting.lines.get(name)) is not None and self._catalogue.live(name)
        }
        if starts:
            self._passes.append(Pass(partition, set(starts), min(starts.values()), waiting.position))

    def _plans(self, names: Iterable[str]) -> dict[str, Plan]:
        """Of those whose schema can be used; events of the others have to wait."""
        found: dict[str, Plan] = {}
        for name in names:
            with suppress(InvariantBroken):
                plan = self._catalogue.plan(name)
                if plan is not None:
                    found[name] = plan
        return found

    async def _step(self, one: Pass) -> None:
        waiting = self._waiting[one.partition]
        one.types = {name for name in one.types if self._catalogue.live(name)}
        if one.types and one.cursor < one.end:
            wanted = {name: waiting.settled_below(name) for name in one.types}
            took, part = await self._thread.timed(lambda: self._log.read(one.partition, one.cursor, one.end, wanted))
            names = {parked.event_type for parked in part.parked}
            plans = self._plans(names)
            one.types -= names - plans.keys()
            fit = [parked for parked in part.parked if parked.event_type in plans]
            if fit:
                one.tally += await self._replay(one.partition, fit, plans)
            else:
                await self._rest(_LEISURE * took)
            one.cursor = part.next
            waiting.searched(one.types, one.cursor, part.at_ms)
        if not one.types or one.cursor >= one.end:
            self._passes.remove(one)
            if one.tally:
                log.info("parked events replayed", types=sorted(one.types)[:10], partition=one.partition, **one.tally)
            self._begin(one.partition, one.types)  # what has come since

    async def _replay(self, partition: int, parked: Sequence[Parked], plans: Mapping[str, Plan]) -> Counter[str]:
        """Returns when these events are settled and this is written down. Raises BrokerUnavailable, then they come again."""
        waiting = self._waiting[partition]
        chunk = Chunk(partition, parked, plans, int(time.time() * 1000))
        settled = chunk.settle()
        await self._share.take(settled.sizes, len(parked))
        try:
            future = self._publisher.publish(settled.records)
            crashpoint("replay.produced")
            delivery = _sound(await future)
            crashpoint("replay.acknowledged")
            large = [settled.indexes[position] for position in sorted(delivery.oversize)]
            if large:
                _sound(await self._publisher.publish(chunk.too_large(large, OVERSIZE_MAX)))
        finally:
            self._share.give_back(settled.sizes)
        progress = chunk.progress(waiting.done)
        _sound(await self._publisher.publish([(REPLAYS, msgspec.json.encode(one), one.key, 0, None) for one in progress]))
        crashpoint("replay.recorded")
        waiting.settled(progress, [one.offset for one in parked])
        _count(self._hours, settled, delivery, plans, parked)
        return Counter(events=len(parked) - len(settled.faults), rejected=len(settled.faults))

    def _commit(self) -> None:
        found = {partition: waiting.frontier for partition, waiting in self._waiting.items() if waiting.frontier >= 0}
        if found:
            self._log.commit(found)

    async def _rest(self, seconds: float) -> None:
        """Sleeps, unless the receiver stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)


def _sound(delivery: Delivery) -> Delivery:
    """Raises what kept a record from being stored."""
    if delivery.failure is not None:
        raise delivery.failure
    return delivery


def _count(hours: Hours, settled: Settled, delivery: Delivery, plans: Mapping[str, Plan], parked: Sequence[Parked]) -> None:
    stored: dict[str, list[int]] = {}
    for position, index in enumerate(settled.indexes):
        if index not in settled.faults:
            stored.setdefault(parked[index].event_type, []).append(position)
    for name, positions in stored.items():
        plan = plans[name]
        TOTALS.acked(hours, name, [settled.records[p][3] for p in positions], [delivery.append_ms[p] for p in positions])
        plan.totals.stored += len(positions)
        plan.totals.bytes += sum(len(settled.records[p][1]) for p in positions)
        REPLAYED.inc(len(positions))
    for code, count in Counter(error.code for error in settled.faults.values()).items():
        REPLAY_REJECTED.labels(code).inc(count)
