"""What happens to one poll, strictly in this order: claim every id, write what the claims allow, wait for every acknowledgement.

Only then is it finished and may be committed. Every step before the commit is safe to repeat, by this worker or by another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog
from faust.types import TP

from dedup.deduplicator import Deduplicator, Outcome, PartitionState, Slice, positions
from dedup.index import Claims, Index, Owners
from hourmark.errors import IndexUnavailable
from hourmark.event import Tally
from hourmark.schemas import EventType

from . import meters
from .emit import Emitter, reject_of
from .ledger import Poll
from .settings import Settings

log = structlog.get_logger()

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0


class Pipeline:
    """`types`: event types by raw topic, replaced as a whole by whoever subscribes. One `process` at a time.

    `held`: the index is away and a poll waits for it.
    """

    def __init__(self, settings: Settings, index: Index, emitter: Emitter) -> None:
        self.types: Mapping[str, EventType] = {}
        self.held = False
        self.polls = 0
        self._index, self._emitter = index, emitter
        self._deduplicator = Deduplicator(settings.hours, settings.hash_key)
        self._away_until = 0.0

    async def process(self, poll: Poll) -> bool:
        """True: everything the poll came to is durable, and its ledger knows. False: it was dropped (its ledger went stale).

        Waits for as long as the index is away, unless all of the poll's types are `dedup: open`. Raises when the process must end.
        """
        types = [self.types[tp.topic] for tp in poll.slices]
        slices = zip(types, poll.slices.items(), strict=True)
        parts = [Slice(found.event, found.source, tp.partition, records) for found, (tp, records) in slices]
        batch = [self._deduplicator.claims(part) for part in parts]
        may_pass = all(found.dedup == "open" for found in types)
        started = time.monotonic()
        owners, unchecked = await self._claim(poll, batch, may_pass)
        if owners is None or poll.ledger.stale:
            return False
        answered = time.monotonic()
        meters.CLAIM_S.observe(answered - started)
        states = poll.ledger.states
        outcomes = [
            self._deduplicator.decide(states.get(tp) or PartitionState(), part, owners, claimed, unchecked=unchecked)
            for tp, part, claimed in zip(poll.slices, parts, positions(batch), strict=True)
        ]
        await self._emit(poll, parts, outcomes)
        meters.EMIT_S.observe(time.monotonic() - answered)
        poll.ledger.finish(poll, {tp: outcome.state for tp, outcome in zip(poll.slices, outcomes, strict=True)})
        self._count(poll, parts, outcomes, unchecked)
        return True

    async def _claim(self, poll: Poll, batch: Sequence[Claims], may_pass: bool) -> tuple[Owners | None, bool]:
        """The owners, and whether nothing was claimed. None: the poll was given up while the index was away."""
        wait = FIRST_WAIT_S
        if may_pass and time.monotonic() < self._away_until:
            return {}, True
        while True:
            try:
                owners = await self._index.claim(batch)
            except IndexUnavailable as exc:
                self._note_away(exc, may_pass)
                if may_pass:
                    return {}, True
            else:
                self._note_back()
                return owners, False
            if poll.ledger.closing or poll.ledger.stale:
                return None, False
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    def _note_away(self, exc: IndexUnavailable, may_pass: bool) -> None:
        if not self.held and time.monotonic() >= self._away_until:
            what = "forwarding unchecked" if may_pass else "holding events, nothing is lost"
            log.warning(f"id index is away: {what}", error=exc.message)
        self._away_until = time.monotonic() + LONGEST_WAIT_S
        self.held = not may_pass
        meters.HELD.set(1 if self.held else 0)

    def _note_back(self) -> None:
        if self._away_until:
            log.info("id index is back")
            self._away_until, self.held = 0.0, False
            meters.HELD.set(0)

    async def _emit(self, poll: Poll, parts: Sequence[Slice], outcomes: Sequence[Outcome]) -> None:
        rejects = [
            reject_of(record, tp.topic, part.event_type, part.partition)
            for tp, part, outcome in zip(poll.slices, parts, outcomes, strict=True)
            for record in outcome.rejected
        ]
        outputs = [(part.event_type, part.partition, outcome.clean) for part, outcome in zip(parts, outcomes, strict=True)]
        await self._emitter.emit(outputs, rejects)

    def _count(self, poll: Poll, parts: Sequence[Slice], outcomes: Sequence[Outcome], unchecked: bool) -> None:
        self.polls += 1
        meters.POLL_RECORDS.observe(poll.size)
        sums: dict[str, Tally] = {}
        for part, outcome in zip(parts, outcomes, strict=True):
            total = sums.setdefault(part.event_type, Tally())
            total.consumed += outcome.total.consumed
            total.forwarded += outcome.total.forwarded
            total.duplicates += outcome.total.duplicates
            total.rejected += outcome.total.rejected
            total.skewed += outcome.total.skewed
        for event_type, total in sums.items():
            meters.count_slice(event_type, total, unchecked)


def most_open_hours(states: Mapping[TP, PartitionState]) -> int:
    """The largest number of open hours in any partition."""
    return max((len(state.tallies) for state in states.values()), default=0)
