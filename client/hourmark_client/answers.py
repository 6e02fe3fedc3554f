"""What an answer of the receiver means for the events of its request. Pure: (status, body, Retry-After) in, decisions out.

Only a well-formed 200 settles events, one by one. 401 and 403 are final, because no retry changes who we are. 400 and 413 split the batch
until the one event is found that caused it, and refuse it only if the receiver itself says so (its error body), never a proxy.
All else is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from .notices import Held
from .retry import parse_retry_after
from .verdicts import FINAL, RETRY, Outcome, rejected

UNREADABLE: Final = Outcome(RETRY, code="unreadable_answer", detail="the answer holds no readable verdict for this event")


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    retry_after: str | None = None


class Settle(NamedTuple):
    """Final verdicts, and events to send again (with the receiver's verdict `retry`)."""

    final: list[tuple[Held, Outcome]]
    again: list[tuple[Held, Outcome]]


class Split(NamedTuple):
    """Too large, or one event spoils it: send the halves. `smaller`: remember to make smaller batches."""

    smaller: bool
    reason: str


class Wait(NamedTuple):
    """Nothing is known about any event: send the same batch again. `plain`: without compression, which the receiver does not know."""

    retry_after: float | None
    reason: str
    plain: bool = False


Decision = Settle | Split | Wait


class _Results(msgspec.Struct):
    results: dict[str, Outcome]


class _RawResults(msgspec.Struct):
    results: dict[str, msgspec.Raw]


class _Error(msgspec.Struct):
    code: str
    message: str = ""


_results: Final = msgspec.json.Decoder(_Results)
_raw_results: Final = msgspec.json.Decoder(_RawResults)
_outcome: Final = msgspec.json.Decoder(Outcome)
_error: Final = msgspec.json.Decoder(_Error)


def decide(batch: Sequence[Held], answer: Answer) -> Decision:
    """What to do with `batch` after this answer."""
    status = answer.status
    if status == 200:
        outcomes = read_outcomes(answer.body)
        return Wait(None, "a 200 whose body is no answer of a receiver") if outcomes is None else _sort(batch, outcomes)
    error = _read_error(answer.body)
    reason = f"HTTP {status} {error.code} {error.message}".strip() if error else f"HTTP {status}"
    if status in (401, 403):
        refusal = rejected(error.code if error else f"http_{status}", error.message if error and error.message else reason)
        return Settle([(held, refusal) for held in batch], [])
    if status in (400, 413) and len(batch) > 1:
        return Split(status == 413, reason)
    if status in (400, 413) and error:
        code = "event_too_large" if status == 413 else error.code
        return Settle([(held, rejected(code, error.message)) for held in batch], [])
    return Wait(parse_retry_after(answer.retry_after), reason, plain=status == 415)


def _sort(batch: Sequence[Held], outcomes: dict[str, Outcome]) -> Settle:
    final: list[tuple[Held, Outcome]] = []
    again: list[tuple[Held, Outcome]] = []
    for held in batch:
        outcome = outcomes.get(held.event_id, UNREADABLE)
        if outcome.verdict in FINAL:
            final.append((held, outcome))
        else:
            again.append((held, outcome if outcome.verdict == RETRY else UNREADABLE))
    return Settle(final, again)


def read_outcomes(body: bytes) -> dict[str, Outcome] | None:
    """Verdicts by event id, leaving out those that cannot be read; None when the body is no answer at all."""
    try:
        return _results.decode(body).results
    except msgspec.DecodeError:
        pass
    try:
        raw = _raw_results.decode(body).results
    except msgspec.DecodeError:
        return None
    outcomes: dict[str, Outcome] = {}
    for event_id, text in raw.items():
        try:
            outcomes[event_id] = _outcome.decode(text)
        except msgspec.DecodeError:
            continue
    return outcomes


def _read_error(body: bytes) -> _Error | None:
    try:
        return _error.decode(body)
    except msgspec.DecodeError:
        return None
