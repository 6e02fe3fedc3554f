"""Sealing an hour that a partition or its audit blocks, because someone says so. Decided like any other, by create-if-absent.

What comes for that hour afterwards is presented with the next one, flagged skewed: nothing is lost, nothing is doubled. Refuses: hours that
have not ended, that are not the next to be sealed, or that nothing blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hourmark.hours import Hours, label

from . import layout
from .books import iso
from .line import Line
from .manifest import Forced, Plan, encode
from .plan import Circumstances, make_plan
from .store import Store
from .watermarks import decided, line_of, presented


class Order(NamedTuple):
    """Who wants which hour sealed, and why. `partitions`: how many the type has, as the registry says; 0 when it cannot be asked."""

    event_type: str
    hour: int
    by: str
    reason: str
    partitions: int = 0


class NotSealed(ValueError):
    """The hour may not be sealed by force; the message says why and what to do."""


def force(store: Store, order: Order, clock: Hours, now: Callable[[], float]) -> Plan:
    """Decide that the hour is sealed as it is. Returns the plan that stands: ours, or what a worker has decided meanwhile.

    Raises NotSealed. The owner of partition 0 presents the hour, at once or when it comes back.
    """
    line = line_of(store, order.event_type, order.partitions)
    name = label(order.hour)
    _check(store, line, order, clock.end_ms(order.hour), now() * 1000)
    newest = line.schema_id or max((part.schema_id for book in line.books.values() for part in book.parts.get(order.hour, ())), default=0)
    if not newest:
        raise NotSealed(f"no event of {order.event_type} has been written yet: there is nothing to seal")
    forced = Forced(by=order.by, reason=order.reason, at=iso(now() * 1000), missing=line.missing(order.hour))
    by = Circumstances(newest, now() * 1000, clock.end_ms(order.hour), forced)
    plan = make_plan(order.event_type, order.hour, line.in_order(), by)
    if plan.complete:
        raise NotSealed(f"nothing blocks {name}: a sink worker seals it as soon as one owns partition 0 of {order.event_type}")
    if store.create(layout.seal(order.event_type, order.hour), encode(plan)):
        return plan
    return decided(store, order.event_type, order.hour)


def _check(store: Store, line: Line, order: Order, ends_ms: float, now_ms: float) -> None:
    name, hour = label(order.hour), order.hour
    if line.sealed is not None and hour <= line.sealed:
        raise NotSealed(f"{name} is sealed")
    if now_ms < ends_ms:
        raise NotSealed(f"{name} has not ended")
    floors = [book.floor for book in line.books.values() if book.floor is not None]
    following = line.sealed + 1 if line.sealed is not None else min(floors, default=None)
    if following is None:
        raise NotSealed(f"nothing has been written of {order.event_type}: there is nothing to seal")
    if hour != following:
        raise NotSealed(f"hours are sealed in order: {label(following)} comes before {name}")
    if line.sealed is not None and not presented(store, order.event_type, line.sealed):
        raise NotSealed(f"{label(line.sealed)} is decided and not presented yet: a sink worker must do that first")
