"""What happens to one poll, strictly in this order: claim every id, write what the claims allow, wait for every acknowledgement.

Only then is it finished and may be committed. Every step before the commit is safe to repeat, by this worker or by another. While the index
is away events are held; those of types declared `dedup: open` go on, flagged unchecked, and do not wait for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from faust.types import TP

from dedup.ages import ages
from dedup.conflicts import conflicts
from dedup.deduplicator import Deduplicator, Outcome, PartitionState, Slice, positions
from dedup.index import Claims, Index, Owners
from hourmark.crashpoints import crashpoint
from hourmark.errors import IndexUnavailable
from hourmark.event import Tally
from hourmark.lag import LagBook
from hourmark.schemas import EventType

from . import meters
from .emit import Emitter, reject_of
from .ledger import Poll
from .settings import Settings

log = structlog.get_logger()

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0
FRESH_S = 10.0  # an answer of the index is acted upon so long after it was asked


class Pipeline:
    """`types`: event types by raw topic, replaced as a whole by whoever subscribes. `away`: the index does not answer.

    `pause(topics, True)` is called when records of these raw topics would only pile up here, and with False when they may come again.
    """

    def __init__(self, settings: Settings, index: Index, emitter: Emitter) -> None:
        self.types: Mapping[str, EventType] = {}
        self.away = False
        self.polls = 0
        self.lags = LagBook()
        self.pause: Callable[[Collection[str], bool], None] = lambda _topics, _paused: None
        self._index, self._emitter = index, emitter
        self._deduplicator = Deduplicator(settings.hours, settings.hash_key)
        self._held: deque[tuple[Poll, list[TP]]] = deque()
        self._turn = asyncio.Lock()  # one poll at a time: the agent's, or the oldest held one

    async def process(self, poll: Poll) -> None:
        """Returns when what the poll came to is durable and its ledger knows, or when what cannot be done yet is held, or when the ledger
        went stale. Raises when the process must end."""
        easy = [tp for tp in poll.slices if self.types[tp.topic].dedup == "open"]
        guarded = [tp for tp in poll.slices if self.types[tp.topic].dedup != "open"]
        others_wait = not easy and all(found.dedup != "open" for found in self.types.values())
        wait = FIRST_WAIT_S
        while not await self._attempt(poll, easy, guarded, hold=not others_wait):
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    async def retry_held(self) -> None:
        """Runs for ever: finishes the held polls, oldest first, when the index is back. Raises when the process must end."""
        wait = FIRST_WAIT_S
        while True:
            await asyncio.sleep(wait if self._held else FIRST_WAIT_S)
            wait = min(wait * 2, LONGEST_WAIT_S)
            while self._held:
                async with self._turn:
                    poll, parts = self._held[0]
                    if not poll.ledger.closing and not await self._claim_and_settle(poll, parts):
                        break
                    self._held.popleft()
                    if not self._held:
                        wait = FIRST_WAIT_S
                        self.pause(self._guarded_topics(), False)

    async def _attempt(self, poll: Poll, easy: list[TP], guarded: list[TP], *, hold: bool) -> bool:
        """One try. False: the index is away and nothing but waiting is left to do."""
        async with self._turn:
            if poll.ledger.closing and self.away:
                return True  # given up: whoever owns the partitions next reads it again
            if not self._held and await self._claim_and_settle(poll, [*guarded, *easy]):
                return True
            if not hold:
                return False
            if easy:
                await self._settle(poll, easy, Owners(), unchecked=True)
            if guarded:
                self._held.append((poll, guarded))
                self.pause(self._guarded_topics(), True)
            return True

    async def _claim_and_settle(self, poll: Poll, parts: list[TP]) -> bool:
        """False: the index does not answer."""
        began = started = time.monotonic()
        slices = [self._slice(poll, tp) for tp in parts]
        states = poll.ledger.states
        batch = [self._deduplicator.claims(part, states.get(tp)) for tp, part in zip(parts, slices, strict=True)]
        try:
            owners = await self._index.claim(batch)
            while time.monotonic() - started > FRESH_S:  # we were frozen, and the index may be another one since
                started = time.monotonic()
                owners = await self._index.claim(batch)
        except IndexUnavailable as exc:
            self._note_away(exc)
            return False
        crashpoint("dedup.claimed")
        self._note_back()
        meters.CLAIM_S.observe(time.monotonic() - started)
        _count_claims(slices, batch)
        await self._settle(poll, parts, owners, claimed=positions(batch))
        meters.BUSY.inc(time.monotonic() - began)
        return True

    async def _settle(
        self, poll: Poll, parts: Sequence[TP], owners: Owners, *, claimed: Sequence[range] | None = None, unchecked: bool = False
    ) -> None:
        if poll.ledger.stale:
            return
        started = time.monotonic()
        slices = [self._slice(poll, tp) for tp in parts]
        claimed = claimed or positions([self._deduplicator.claims(part) for part in slices])
        states = poll.ledger.states
        outcomes = [
            self._deduplicator.decide(states.get(tp) or PartitionState(), part, owners, where, unchecked=unchecked)
            for tp, part, where in zip(parts, slices, claimed, strict=True)
        ]
        await self._emit(parts, slices, outcomes)
        crashpoint("dedup.acknowledged")
        meters.EMIT_S.observe(time.monotonic() - started)
        for tp, part in zip(parts, slices, strict=True):
            self.lags.read(tp, part.records[-1].timestamp)
        poll.ledger.finish(poll, {tp: outcome.state for tp, outcome in zip(parts, outcomes, strict=True)})
        self.polls += 1
        _count(slices, outcomes, unchecked)
        if owners:
            _count_copies(slices, claimed, owners)

    def _slice(self, poll: Poll, tp: TP) -> Slice:
        found = self.types[tp.topic]
        return Slice(found.event, found.source, tp.partition, poll.slices[tp])

    async def _emit(self, parts: Sequence[TP], slices: Sequence[Slice], outcomes: Sequence[Outcome]) -> None:
        rejects = [
            reject_of(record, tp.topic, part.event_type, part.partition)
            for tp, part, outcome in zip(parts, slices, outcomes, strict=True)
            for record in outcome.rejected
        ]
        await self._emitter.emit(
            [(part.event_type, part.partition, out.clean) for part, out in zip(slices, outcomes, strict=True)], rejects
        )

    def _guarded_topics(self) -> list[str]:
        return [topic for topic, found in self.types.items() if found.dedup != "open"]

    def _note_away(self, exc: IndexUnavailable) -> None:
        if not self.away:
            log.warning("id index is away: holding events, nothing is lost", error=exc.message)
            self.away = True
            meters.AWAY.set(1)

    def _note_back(self) -> None:
        if self.away:
            log.info("id index is back")
            self.away = False
            meters.AWAY.set(0)


def _count(slices: Sequence[Slice], outcomes: Sequence[Outcome], unchecked: bool) -> None:
    meters.POLL_RECORDS.observe(sum(len(part.records) for part in slices))
    sums: dict[str, Tally] = {}
    for part, outcome in zip(slices, outcomes, strict=True):
        total = sums.setdefault(part.event_type, Tally())
        total.consumed += outcome.total.consumed
        total.forwarded += outcome.total.forwarded
        total.duplicates += outcome.total.duplicates
        total.rejected += outcome.total.rejected
        total.skewed += outcome.total.skewed
        if outcome.echoes:
            meters.ECHOES.labels(part.event_type).inc(outcome.echoes)
    for event_type, total in sums.items():
        meters.count_slice(event_type, total, unchecked)


def _count_claims(slices: Sequence[Slice], batch: Sequence[Claims]) -> None:
    for part, claims in zip(slices, positions(batch), strict=True):
        meters.CLAIMS.labels(part.event_type).inc(len(claims))


def _count_copies(slices: Sequence[Slice], claimed: Sequence[range], owners: Owners) -> None:
    for event_type, number in conflicts(slices, claimed, owners).items():
        meters.CONFLICTS.labels(event_type).inc(number)
    dated, undated = ages(slices, claimed, owners, meters.DUPLICATE_AGES.bounds)
    for event_type, sums in dated.items():
        meters.DUPLICATE_AGES.add(event_type, sums)
    for event_type, number in undated.items():
        meters.UNDATED.labels(event_type).inc(number)
