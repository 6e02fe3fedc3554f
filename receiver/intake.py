"""Bytes of one request to a verdict for each of its events. What is accepted is on its way to Kafka before anything is answered.

Order: parse, may this key send, room for it (quota), each type's plan, encode, room in its tier's budget, publish, wait, answer.
Nothing is accepted before all checks are done: a refusal (Refused, Unavailable) means that no event of the request was taken.

One id more than once in a request: the first event with it counts and has the verdict. Equal copies are dropped and counted. When a copy
differs, the first still wins and its verdict `stored` carries the code `duplicate_in_batch`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hourmark.crashpoints import crashpoint
from hourmark.errors import EventTooLarge, InvalidEnvelope, InvariantBroken, Overloaded, RegistryUnavailable, Rejected
from hourmark.schemas import WriteKey
from hourmark.topics import is_event_type

from .answer import EMPTY
from .budget import RETRY_AFTER_S, Budget
from .catalogue import Catalogue, Plan
from .codec import sender_bytes
from .encode import encode
from .envelope import parse
from .keys import Quota, check_types
from .lookup import Lookup
from .measures import TOTALS
from .publisher import Publisher
from .settings import Settings
from .work import Work

Clock = Callable[[], float]
NOTICES = 20  # of deprecated types in one answer


class Taken(NamedTuple):
    """The answer's body, and what is to be said beside it: a notice for each deprecated event type of the request.

    `retry`: the code for which events are to be sent again, the first one when there are several; empty when none is.
    """

    body: bytes
    notices: Sequence[str] = ()
    retry: str = ""


class Intake:
    """Takes requests one by one; all of them share the budget and the publisher."""

    def __init__(self, settings: Settings, catalogue: Catalogue, lookup: Lookup, publisher: Publisher, now: Clock = time.time) -> None:
        self.budget = Budget(settings.inflight_bytes)
        self._settings, self._catalogue, self._lookup, self._publisher, self._now = settings, catalogue, lookup, publisher, now
        self._quota = Quota(settings.quota_events_s)
        self._hours = settings.hours

    def full(self) -> Overloaded | None:
        """Set when no tier has room for anything: then a request need not even be read."""
        return Overloaded("too many bytes wait for Kafka", retry_after=RETRY_AFTER_S) if self.budget.exhausted else None

    async def take(self, body: bytes, key: WriteKey, request_id: str = "") -> Taken:
        """The answer. Raises Refused, Overloaded, BrokerUnavailable or QuotaExceeded, then nothing was taken."""
        batch = parse(body, int(self._now() * 1_000_000), self._settings.batch_events)
        if not batch.events:
            return Taken(EMPTY)
        work = Work(batch, self._hours, self._now, request_id)
        groups = work.groups()
        check_types(key, groups)
        self._quota.take(key, len(batch.events))
        if len(body) > self._settings.event_bytes:
            groups = self._without_large(work, groups)
        plans = await self._plans(work, groups)
        refusal = self._publisher.refusal()
        if refusal is not None:
            raise refusal
        self._prepare(work, groups, plans)
        work.refuse_if_nothing_accepted()
        future = self._publisher.publish(work.records)
        future.add_done_callback(lambda _: work.release(self.budget))
        crashpoint("receiver.produced")
        delivery = await future
        crashpoint("receiver.acknowledged")
        second = await self._publisher.publish(work.reject_oversize(delivery)) if delivery.oversize else None
        notices = [plan.notice for plan in plans.values() if plan is not None and plan.notice][:NOTICES]
        return Taken(work.answer(delivery, second), notices, work.retry)

    def _without_large(self, work: Work, groups: dict[str, list[int]]) -> dict[str, list[int]]:
        limit = self._settings.event_bytes
        for index, raw in enumerate(work.raws()):
            size = len(memoryview(raw))
            if size > limit:
                work.fault(index, EventTooLarge(f"the event has {size} bytes; at most {limit} are taken"))
        return {name: kept for name, indexes in groups.items() if (kept := [index for index in indexes if not work.settled(index)])}

    async def _plans(self, work: Work, groups: dict[str, list[int]]) -> dict[str, Plan | None]:
        """Raises nothing: a type whose schema cannot be used is settled here with `retry`."""
        plans: dict[str, Plan | None] = {}
        for name, indexes in groups.items():
            if not is_event_type(name):
                fault = InvalidEnvelope("no name of an event type: lower case words with dots between them", path="/type")
                work.fault_all(indexes, fault)
                continue
            try:
                plan = self._catalogue.plan(name)
                if plan is None:
                    await self._lookup.ask(name)
                    plan = self._catalogue.plan(name)
            except InvariantBroken:
                work.retry_all(indexes, RegistryUnavailable("the declared schema cannot be used at present", retry_after=30.0))
                continue
            plans[name] = plan
        return plans

    def _prepare(self, work: Work, groups: dict[str, list[int]], plans: dict[str, Plan | None]) -> None:
        common = sender_bytes(work.batch.sender)
        for name, plan in plans.items():
            indexes = groups[name]
            if plan is None:
                TOTALS.undeclared += len(indexes)
                work.park(indexes, self.budget)
                continue
            plan.totals.received += len(indexes)
            try:
                plan.admit(work.batch.sender.sdk)
            except Rejected as exc:
                work.fault_all(indexes, exc)
                continue
            encoded = encode(work.batch, plan, indexes, common, work.fault)
            if encoded.indexes:
                work.store(plan, encoded, self.budget)
        work.reject(self.budget)
