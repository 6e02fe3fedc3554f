"""A Faust transport on which one Kafka poll is one Faust event: `faust.App(..., broker="hourmark://host:9092")`.

`event.value` is a `Poll` of raw aiokafka records. Read with `stream.noack().events()`; a poll is done when `poll.ledger.finish` was called,
and only done polls are committed, with the state behind them. Promises: within a partition polls come in offset order without gaps, and a
poll fetched before a rewind is recognisably stale. Private names of Faust are overridden; tests/streams/test_contract.py watches them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import structlog
from aiokafka.errors import ConsumerStoppedError
from faust.transport.conductor import Conductor
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from hourmark.crashpoints import crashpoint
from hourmark.errors import BrokerUnavailable, OffsetLost

from .connection import FORBIDDEN, unavailable
from .consumer_thread import ConsumerThread
from .ledger import Ledger, Poll

log = structlog.get_logger()

SCHEME: Final = "hourmark"
GATHER_S: Final = 0.05
TICK_S: Final = 0.005
COMMIT_S: Final = 2.0
DRAIN_S: Final = 6.0  # for the poll in hand at a rebalance or stop; far below the group's rebalance time-out


class BatchConsumer(driver.Consumer):
    """`ledger`: progress since the last rewind, None before the first. `topics_now`: what is subscribed, None before the first.

    `waiting`: the poll that the agent has not taken yet; `working`: the one in its hands. `frozen`: nothing is committed any more.
    """

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger: Ledger | None = None
        self.topics_now: frozenset[str] | None = None
        self.waiting: Poll | None = None
        self.working: Poll | None = None
        self.frozen = False
        self._taken = asyncio.Event()
        self._must_rewind = self._drained_before = self._troubled = False
        self._doubted: tuple[TP, int] | None = None
        self._rewinds = 0
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def hold_topics(self, topics: Collection[str], held: bool) -> None:
        """Stop fetching these topics, or go on with them; a rebalance forgets it."""
        found = {tp for tp in self.assignment() if tp.topic in topics}
        if held:
            self.pause_partitions(found)
        elif self.flow_active:
            self.resume_partitions(found)

    # Backpressure is the channel's maxsize of 1. Pausing single partitions slows aiokafka's fetches from their whole node down.
    def on_buffer_full(self, tp: TP) -> None: ...

    def on_buffer_drop(self, tp: TP) -> None: ...

    async def verify_all_partitions_active(self) -> None:
        """Stock raises false alarms, since one poll is one message. streams/watchdog.py does it better."""

    def take(self, poll: Poll) -> bool:
        """The agent takes this poll into its hands; False: it must not begin it any more. `working` is the agent's to clear."""
        self.waiting = None
        self._taken.set()
        if poll.ledger.closing:
            return False
        self.working = poll
        return True

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch without end. While the agent has a poll waiting, fetches are gathered into one: under load polls grow by themselves."""
        gathered: Poll | None = None
        # A fetcher that was stopped may have taken records with it.
        self._must_rewind, self._drained_before = self._must_rewind or self._drained_before, True
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if await self._in_position():
                    gathered = await self._fetch_into(gathered)
                    if gathered is not None and (self.waiting is None or gathered.size >= self.app.conf.broker_max_poll_records):
                        poll, gathered = gathered, None
                        await self._deliver(poll)
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise
        except OffsetLost as exc:
            self._fail(exc)
        except FORBIDDEN as exc:
            self._fail(unavailable(exc, "reading raw topics"))

    async def _in_position(self) -> bool:
        """True when fetching may go on: no rebalance under way, and nothing thrown away that is not sought again."""
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait(), timeout=1.0)
            return False
        if self._must_rewind:
            await self.perform_seek()
            if self._must_rewind:
                await asyncio.sleep(0.2)
        return not self._must_rewind

    async def _fetch_into(self, gathered: Poll | None) -> Poll | None:
        """The next records, with those gathered before; None when there is nothing, or nothing that may be used."""
        ledger = self.ledger
        records, _ = await self._wait_next_records(0.0 if gathered else 1.0)
        if gathered and not records:  # nothing more at the moment: until the agent asks, or a little later
            await self.wait_first(self._taken.wait(), timeout=GATHER_S)
        if self.should_stop or not (records or gathered):
            await asyncio.sleep(0)
            return None
        if ledger is None or ledger is not self.ledger or ledger.closing or not self.flow_active:
            self._must_rewind = True  # fetched across a rebalance: thrown away, so it must be fetched again
            return None
        poll = gathered if gathered is not None and gathered.ledger is ledger else Poll(ledger)
        self._gather(poll, records or {})
        return poll if poll.size else None

    def _gather(self, poll: Poll, records: Mapping[Any, list[Any]]) -> None:
        ledger = poll.ledger
        for tp, found in ((ensure_TP(raw), found) for raw, found in records.items()):
            expected = ledger.reading.get(tp)
            if expected is None:
                self._must_rewind = True
                continue
            if found and found[0].offset < expected:
                found = [record for record in found if record.offset >= expected]
            if not found:
                continue
            last = found[-1].offset
            if found[0].offset != expected or last - expected + 1 != len(found):
                if self._doubted != (tp, expected):  # look again from the committed offset before saying so
                    self._doubted, self._must_rewind = (tp, expected), True
                    ledger.closing = True
                    return
                # Raw logs are dense (no transactions, no compaction), so a gap is loss: retention overtook us, or the log was cut.
                raise OffsetLost(
                    f"offsets {expected} to {last} of {tp.topic}[{tp.partition}] hold {len(found)} records from {found[0].offset}: events "
                    "were removed from the log before they were read",
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=expected,
                )
            ledger.reading[tp] = last + 1
            poll.add(tp, found)

    def _fail(self, exc: BaseException) -> None:
        app: Any = self.app
        app.fail(exc)

    async def _deliver(self, poll: Poll) -> None:
        tp, records = next(iter(poll.slices.items()))
        first = records[0]
        value: Any = poll  # Faust passes it on unread, whatever its types say
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            first.offset,
            first.timestamp / 1000,
            first.timestamp_type,
            None,
            None,
            value,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        delivered: list[bool] = []

        async def put() -> None:
            await self.callback(message)
            delivered.append(True)

        poll.ledger.begin(poll)
        self.waiting = poll
        self._taken.clear()
        await self.wait_first(put(), self.suspend_flow.wait())
        if not delivered:  # the flow stopped while the channel was full
            poll.ledger.give_back(poll)
            self.waiting = None
            self._must_rewind = True

    def ack(self, message: Message) -> bool:
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit all that is due, with its state. Called every commit interval, before rebalances and at the end."""
        ledger = self.ledger
        if ledger is None or ledger.stale or not ledger.due or self.frozen:
            return False
        due = dict(ledger.due)
        crashpoint("dedup.before_commit")
        try:
            done = await self._thread.commit_progress(due)
        except BrokerUnavailable as exc:
            self._commit_trouble(exc.message)
            return False
        crashpoint("dedup.committed")
        ledger.settled(done)
        held_back = len(due) - len(done)
        self._commit_trouble(f"{held_back} partitions: rebalancing, or more open hours than fit" if held_back and done else "")
        return bool(done)

    def _commit_trouble(self, what: str) -> None:
        if what and not self._troubled:
            log.warning("cannot commit everything, trying again", error=what)
        self._troubled = bool(what)

    async def drain(self, seconds: float = DRAIN_S) -> None:
        """Begin no further poll, finish the one in hand within `seconds`, commit; what is left belongs to nobody from then on."""
        self.stop_flow()
        ledger = self.ledger
        if ledger is None:
            return
        ledger.closing = True
        self.waiting = None
        for _ in range(int(seconds / TICK_S)):
            if self.working is None or self.frozen:
                break
            await asyncio.sleep(TICK_S)
        try:
            await asyncio.wait_for(self._commit_due(ledger), COMMIT_S)
        except TimeoutError:
            log.warning("the last commit did not get through; the next owner replays what it would have said", partitions=len(ledger.due))
        ledger.stale = True

    async def _commit_due(self, ledger: Ledger) -> None:
        for _ in range(10):
            if self.frozen or not ledger.due.keys() & self.assignment():
                return
            if not await self.commit():  # another commit was under way, or the group has moved on without us
                await asyncio.sleep(0.05)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._rewinds += 1
        await self.drain()
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Rewind to what is committed. Called by Faust after each assignment and by us when fetched records were thrown away."""
        self._rewinds += 1
        mine = self._rewinds
        if self.ledger is not None:
            self.ledger.closing = self.ledger.stale = True
            self.waiting = None
        try:
            ledger = await self._thread.rewind()
        except BrokerUnavailable as exc:
            log.warning("cannot rewind to the committed offsets, trying again", error=exc.message)
            self._must_rewind = True
            return
        except Exception as exc:
            self._fail(exc)
            raise
        # Overtaken by another rebalance: positions may be mixed, so the next look at the log begins with a rewind.
        self._must_rewind = mine != self._rewinds
        if not self._must_rewind:
            self.ledger = ledger

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Settle first: in a rebalance that we cause ourselves Faust sees an empty assignment and would not commit."""
        wanted = frozenset(topics)
        if wanted == self.topics_now or not wanted:
            return
        if self.topics_now is not None:
            await self.drain()
        self.topics_now = wanted
        await super().subscribe(wanted)


class QuickConductor(Conductor):
    """Subscribes to a new topic after 0.3 s; stock waits 45."""

    _resubscribe_sleep_lock_seconds = 0.3


class Transport(driver.Transport):
    Consumer, Conductor = BatchConsumer, QuickConductor


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
