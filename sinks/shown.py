"""What the metrics page says of an event type whose hours this worker seals, and that it says nothing any more when another one does."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Final

from hourmark.hours import Hours
from hourmark.metrics import Gauge
from hourmark.topics import TIERS, Tier

from . import telemetry
from .line import Line
from .manifest import Plan

EMPTY, IN_TIME, LATE, INCOMPLETE = range(4)
PROMISE_LEAST_S: Final = 30.0


def promise_s(tier: Tier, clock: Hours) -> float:
    """Seconds after its end in which an hour of this tier is sealed. In time-lapse they are fewer in proportion, but never under 30."""
    return max(PROMISE_LEAST_S, TIERS[tier].promise_s * clock.seconds / 3600)


class Shown:
    """Gauges of the types that this worker seals. A type of which nothing is known yet has none."""

    def __init__(self, clock: Hours) -> None:
        self._clock = clock
        self._tiers: dict[str, Tier] = {}
        self._blocking: dict[str, set[int]] = {}

    def standing(self, line: Line, tier: Tier, *, overdue: bool) -> None:
        """Where the type stands: open hours, when the next one is due, and which partitions keep it from being sealed."""
        name, hour = line.event_type, line.next_hour()
        telemetry.OPEN_HOURS.labels(name).set(line.open_hours())
        if self._tiers.get(name, tier) != tier:
            telemetry.DUE.remove(name, self._tiers[name])
        if hour is not None:
            self._tiers[name] = tier
            telemetry.DUE.labels(name, tier).set(self._clock.end_ms(hour) / 1000 + promise_s(tier, self._clock))
        waiting = hour is not None and (line.open_hours() > 0 or overdue)
        missing = set(line.missing(hour)) if waiting and hour is not None else set()
        telemetry.BLOCKED.labels(name, "not_closed").set(len(missing))
        telemetry.BLOCKED.labels(name, "audit_held").set(int(line.held))
        self._tell_blocking(name, missing)

    def presented(self, plan: Plan, hour: int, tier: Tier) -> None:
        """The newest hour of a type: also one that was presented long ago, when a worker takes over."""
        ends = self._clock.end_ms(hour) / 1000
        delay = datetime.fromisoformat(plan.sealed_at).timestamp() - ends
        state = (
            INCOMPLETE if not plan.complete else LATE if delay > promise_s(tier, self._clock) else IN_TIME if plan.totals.rows else EMPTY
        )
        telemetry.WATERMARK.labels(plan.type).set(ends)
        telemetry.HOUR_STATE.labels(plan.type).set(state)
        telemetry.LAST_DELAY.labels(plan.type).set(max(0.0, delay))

    def forget(self, event_type: str) -> None:
        """Another worker seals it from now on."""
        self._tell_blocking(event_type, set())
        self._blocking.pop(event_type, None)
        for gauge in (telemetry.OPEN_HOURS, telemetry.WATERMARK, telemetry.HOUR_STATE, telemetry.LAST_DELAY):
            _remove(gauge, event_type)
        for reason in ("not_closed", "audit_held"):
            _remove(telemetry.BLOCKED, event_type, reason)
        tier = self._tiers.pop(event_type, None)
        if tier is not None:
            _remove(telemetry.DUE, event_type, tier)

    def _tell_blocking(self, event_type: str, missing: set[int]) -> None:
        for partition in self._blocking.get(event_type, set()) - missing:
            _remove(telemetry.BLOCKING, event_type, str(partition))
        for partition in missing:
            telemetry.BLOCKING.labels(event_type, str(partition)).set(1)
        self._blocking[event_type] = missing


def _remove(gauge: Gauge, *labels: str) -> None:
    with suppress(KeyError):  # nothing was known of the type yet
        gauge.remove(*labels)
