"""What became of an event: the wire form the receiver answers with, and the form callbacks get.

Final verdicts are `stored`, `parked` and `rejected`. `undelivered` is said by the client alone: it stopped trying (closed, or dropped by
policy).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

STORED: Final = "stored"
PARKED: Final = "parked"
REJECTED: Final = "rejected"
RETRY: Final = "retry"
UNDELIVERED: Final = "undelivered"
FINAL: Final = frozenset({STORED, PARKED, REJECTED})


class Outcome(msgspec.Struct, frozen=True):
    """One verdict as it stands in the receiver's answer. `retry_after` in seconds."""

    verdict: str
    partition: int | None = None
    offset: int | None = None
    code: str | None = None
    path: str | None = None
    detail: str | None = None
    retry_after: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What a callback gets: the event, its last verdict, and on which attempt."""

    event_type: str
    event_id: str
    verdict: str
    attempt: int
    partition: int | None = None
    offset: int | None = None
    code: str | None = None
    path: str | None = None
    detail: str | None = None


OnVerdict = Callable[[Verdict], object]


def rejected(code: str, detail: str, path: str | None = None) -> Outcome:
    """A final no, in the receiver's words."""
    return Outcome(REJECTED, code=code, path=path, detail=detail)
