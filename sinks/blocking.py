"""What keeps an hour from being sealed: which clean partition, and why. Pure: the lake's books and what Kafka says go in.

Each reason is one of a fixed few, so that it can be a metric's label.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from .line import Line


class Reason(StrEnum):
    NOT_ENDED = "not_ended"
    PREVIOUS_HOUR = "previous_hour"
    NO_BARRIER = "no_barrier"
    DEDUP_BEHIND = "dedup_behind"
    NO_DEDUP_OWNER = "no_dedup_owner"
    SINK_BEHIND = "sink_behind"
    NO_OWNER = "no_owner"
    HELD = "held"
    AUDIT_HELD = "audit_held"
    SEALING = "sealing"


_MEANS: Final = {
    "lake_unavailable": "the lake is away, full or refuses",
    "registry_unavailable": "a schema is missing and the registry does not have it",
    "broker_unavailable": "Kafka does not take refused records",
}


class Flow(NamedTuple):
    """What Kafka says of one partition. None: unknown. `end`: of its clean log; `dedup_lag`: raw records that dedup has not passed."""

    end: int | None = None
    owned: bool | None = None
    dedup_owned: bool | None = None
    dedup_lag: int | None = None


class Block(NamedTuple):
    """`partition` None: the whole type."""

    partition: int | None
    reason: Reason
    detail: str


class Situation(NamedTuple):
    """`ended`: newest hour that is over. `held`: codes for which workers hold partitions of the type."""

    ended: int
    flows: Mapping[int, Flow] = {}
    held: tuple[str, ...] = ()


def blocks(line: Line, hour: int, now: Situation) -> list[Block]:
    """Why this open hour is not sealed: at least one reason."""
    if hour > now.ended:
        return [Block(None, Reason.NOT_ENDED, "the hour has not ended")]
    following = line.sealed + 1 if line.sealed is not None else line.next_hour()
    if following is not None and hour > following and not line.missing(hour):
        return [Block(None, Reason.PREVIOUS_HOUR, "an earlier hour is not sealed")]
    found = [_of_partition(line, partition, now) for partition in line.missing(hour)]
    return found or [_ready(line, hour, now)]


def _of_partition(line: Line, partition: int, now: Situation) -> Block:
    """From the sink backwards: the first place where something waits. A sink that has read everything waits for dedup."""
    flow, position = now.flows.get(partition, Flow()), line.books[partition].offset
    behind = flow.end - position if flow.end is not None else 0
    if behind > 0 and flow.owned is False:
        return Block(partition, Reason.NO_OWNER, f"no sink worker owns the partition; {behind:,} records wait")
    if behind > 0 and now.held:
        return Block(partition, Reason.HELD, f"a sink worker waits: {_meaning(now.held)}; {behind:,} records wait")
    if flow.dedup_owned is False:
        return Block(partition, Reason.NO_DEDUP_OWNER, "no dedup worker owns the raw partition, so nobody writes its barrier")
    if flow.dedup_lag:
        return Block(partition, Reason.DEDUP_BEHIND, f"dedup has {flow.dedup_lag:,} raw records before it")
    if behind > 0:
        return Block(partition, Reason.SINK_BEHIND, f"the sink has {behind:,} records before it")
    return Block(partition, Reason.NO_BARRIER, "dedup has not closed the hour here: no barrier yet")


def _meaning(codes: tuple[str, ...]) -> str:
    return ", ".join(_MEANS.get(code, code) for code in codes)


def _ready(line: Line, hour: int, now: Situation) -> Block:
    """Every partition has closed the hour."""
    first = now.flows.get(0, Flow())
    if first.owned is False:
        return Block(0, Reason.NO_OWNER, "no sink worker owns partition 0, which seals")
    faults = [fault for book in line.in_order() for fault in book.account(hour)[1]]
    if faults:
        return Block(None, Reason.AUDIT_HELD, f"its audit does not balance, and the type may want it held: {'; '.join(faults[:3])}")
    if now.held:
        return Block(0, Reason.HELD, f"a sink worker waits: {_meaning(now.held)}")
    return Block(None, Reason.SEALING, "every partition has closed it: it is being sealed")
