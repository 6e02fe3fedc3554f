"""Expiry with notice: parked events are deleted by Kafka after some days. Whoever owns them says so before, and counts what has gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import structlog

from .measures import PARKED_AGE, PARKED_EXPIRED, PARKED_EXPIRING
from .parking import ParkedLog
from .waiting import Waiting

log = structlog.get_logger()

EVERY_S: Final = 30.0
SAY_AGAIN_S: Final = 6 * 3600.0
_NAMED: Final = 5


class Notice:
    """`due` tells when to `look`; a look blocks on Kafka."""

    def __init__(self, hours: float) -> None:
        self._ahead_ms = hours * 3_600_000
        self._next = 0.0
        self._said = -SAY_AGAIN_S

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def look(self, log_: ParkedLog, waiting: Mapping[int, Waiting]) -> None:
        """Raises BrokerUnavailable."""
        self._next = time.monotonic() + EVERY_S
        now, retention = time.time() * 1000, log_.retention_ms()
        kept_ms = retention if retention >= 0 else now
        gone = sum(one.expired(log_.low(partition), int(now - kept_ms)) for partition, one in waiting.items())
        if gone:
            PARKED_EXPIRED.inc(gone)
            log.warning("parked events were deleted unreplayed: nobody has declared their types in time", events=gone)
        oldest = [found for one in waiting.values() if (found := one.oldest()) is not None]
        PARKED_AGE.set(max(0.0, (now - min(oldest)) / 1000) if oldest else 0.0)
        soon = {name: ms for one in waiting.values() for name, ms in one.older_than(now - kept_ms + self._ahead_ms).items()}
        PARKED_EXPIRING.set(len(soon))
        if not soon:
            self._said = -SAY_AGAIN_S
        elif time.monotonic() - self._said >= SAY_AGAIN_S:
            self._said = time.monotonic()
            first = sorted(soon, key=soon.__getitem__)
            at = datetime.fromtimestamp((min(soon.values()) + kept_ms) / 1000, UTC)
            log.warning(
                "parked events will be deleted unless their types are declared",
                types=[name or "(others)" for name in first[:_NAMED]],
                and_more=max(0, len(first) - _NAMED),
                first_goes_at=at.isoformat(timespec="minutes"),
            )
