"""Where each event type stands, from what Kafka and the lake said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

from hourmark.hours import Hours
from hourmark.topics import Tier
from sinks.shown import promise_s

from .flowing import Stream
from .lake import Standing
from .model import TypeState
from .seals import Seals

DRAFT = "draft"
NOTHING = Stream()


class Known(NamedTuple):
    """`types`: as the registry lists them, or empty descriptions. `parked`: events that wait, by type."""

    types: Mapping[str, Mapping[str, Any]]
    streams: Mapping[str, Stream]
    seals: Seals
    parked: Mapping[str, int]


def to_look_at(known: Known, clock: Hours, ended: int, now: float) -> list[str]:
    """Types that the lake should be asked about, the most urgent first: hours that are late, nothing sealed lately, hours just over."""
    late, unknown, over = [], [], []
    for name, listed in known.types.items():
        newest = known.seals.newest.get(name)
        if listed.get("lifecycle") == DRAFT:
            continue
        if newest is None:
            unknown.append(name)
        elif (behind := late_s(listed, newest.hour + 1, clock, now)) > 0:
            late.append((-behind, name))
        elif newest.hour + 1 <= ended:
            over.append(name)
    return [*(name for _, name in sorted(late)), *unknown, *over]


def states(known: Known, looked: Mapping[str, Standing], clock: Hours, now: float) -> list[TypeState]:
    """Of every type, by name."""
    return [_state(known, looked.get(name), clock, now, name) for name in sorted(known.types)]


def _state(known: Known, looked: Standing | None, clock: Hours, now: float, name: str) -> TypeState:
    listed, stream, seals = known.types[name], known.streams.get(name, NOTHING), known.seals
    newest = seals.newest.get(name) if looked is None or looked.newest is None else looked.newest
    following = newest.hour + 1 if newest is not None else looked.following if looked is not None else None
    current, sleeping = clock.of(int(now * 1000)), listed.get("lifecycle") == DRAFT
    return TypeState(
        name,
        str(listed.get("tier", "")),
        newest,
        0 if sleeping else max(1, current - following + 1) if following is not None else 1,
        late_s=0.0 if sleeping or following is None else late_s(listed, following, clock, now),
        lag=stream.lag,
        stalled=stream.stalled and not sleeping,
        sink_lag=stream.sink_lag,
        recent=stream.recent,
        parked=known.parked.get(name, 0),
        delays=seals.delays.get(name),
        incomplete=seals.incomplete.get(name, ()),
        blocked=looked.blocked if looked is not None else (),
    )


def late_s(listed: Mapping[str, Any], hour: int, clock: Hours, now: float) -> float:
    """For how long the promise of the type's tier has been broken with this hour; of an unknown tier the slowest promise counts."""
    tiers: tuple[Tier, ...] = get_args(Tier)
    promise = max(promise_s(tier, clock) for tier in tiers if listed.get("tier", tier) == tier)
    return max(0.0, now - clock.end_ms(hour) / 1000 - promise)


def in_order(found: Iterable[TypeState]) -> list[TypeState]:
    """As an operator reads them: what needs attention, then the busiest."""
    return sorted(found, key=lambda state: (not state.needs_attention, -state.late_s, -state.recent, state.type))
