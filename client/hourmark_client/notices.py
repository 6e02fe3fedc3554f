"""The event as the client holds it, and the telling of verdicts: to the event's callback, to the client's, or, if it is bad news that
nobody asked for, to the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from .loud import Episode, log
from .verdicts import REJECTED, OnVerdict, Outcome, Verdict


class Held(msgspec.Struct, eq=False):
    """One accepted event. `sequence` and `attempt` are given by the buffer and the transport; everything else never changes."""

    event_type: str
    event_id: str
    time_us: int
    payload: bytes
    size: int
    on_verdict: OnVerdict | None = None
    sequence: int = 0
    attempt: int = 0


Notices = Sequence[tuple[OnVerdict, Verdict]]
Settled = Sequence[tuple[Held, Outcome]]


def run_notices(notices: Notices) -> None:
    """Call every callback; one that raises is logged and does not keep the others from being called."""
    for call, verdict in notices:
        try:
            call(verdict)
        except Exception:
            log.exception("a callback raised for event %s", verdict.event_id)


class Teller:
    """`notify` gets each batch of due callbacks; `on_any` is told about every event, besides the event's own callback."""

    def __init__(self, on_any: OnVerdict | None = None, notify: Callable[[Notices], None] = run_notices) -> None:
        self.on_any: Final = on_any
        self.notify = notify
        self.refusals = Episode("events rejected, and no callback to tell")

    def tell(self, settled: Settled) -> None:
        notices: list[tuple[OnVerdict, Verdict]] = []
        on_any = self.on_any
        unheard: list[Verdict] = []
        for held, outcome in settled:
            own = held.on_verdict
            if own is None and on_any is None and outcome.verdict != REJECTED:
                continue
            verdict = _verdict(held, outcome)
            if own is not None:
                notices.append((own, verdict))
            if on_any is not None:
                notices.append((on_any, verdict))
            elif own is None:
                unheard.append(verdict)
        if unheard:
            first = unheard[0]
            why = f"{first.code} {first.path or ''} {first.detail or ''}"
            self.refusals.trouble(f"{first.event_type} {first.event_id}: {why}", len(unheard))
        if notices:
            self.notify(notices)


def _verdict(held: Held, outcome: Outcome) -> Verdict:
    return Verdict(
        held.event_type,
        held.event_id,
        outcome.verdict,
        held.attempt,
        outcome.partition,
        outcome.offset,
        outcome.code,
        outcome.path,
        outcome.detail,
    )
