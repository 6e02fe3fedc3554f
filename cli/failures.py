"""What can go wrong at the command line, and how it is said: what happened, where, what to do. Never a traceback for a user's mistake.

Exit codes: 0 fine · 1 the answer is no · 2 wrong input · 3 something unreachable · 70 our own fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from hourmark.errors import InvariantBroken, PlatformError, Rejected, SettingsError, Unavailable

FINE: Final = 0
ANSWER_IS_NO: Final = 1
WRONG_INPUT: Final = 2
UNREACHABLE: Final = 3
BROKEN: Final = 70


class WrongInput(Rejected):
    """The user asked for something that cannot be done. `where` and `remedy` complete the message."""

    code = "wrong_input"

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message, where=where, remedy=remedy)


class AnswerIsNo(Rejected):
    """The question was understood, and the answer is no (an incompatible schema, a damaged hour)."""

    code = "answer_is_no"

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message, where=where, remedy=remedy)


class Unreachable(Unavailable):
    """Something the command needs does not answer. `where` says which address, `remedy` what to do."""

    code = "unreachable"

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message, where=where, remedy=remedy)


def exit_code(exc: BaseException) -> int:
    """The exit code an exception stands for."""
    if isinstance(exc, AnswerIsNo):
        return ANSWER_IS_NO
    if isinstance(exc, Unavailable):
        return UNREACHABLE
    if isinstance(exc, InvariantBroken):
        return BROKEN
    if isinstance(exc, (Rejected, SettingsError, ValueError)):
        return WRONG_INPUT
    return ANSWER_IS_NO


def lines(exc: BaseException) -> list[tuple[str, str]]:
    """(label, text) to print: what happened first, then where and what to do when known."""
    if not isinstance(exc, PlatformError):
        return [("error", str(exc))]
    said = [("error", exc.message)]
    said += [(label, str(exc.facts[name])) for name, label in (("where", "where"), ("remedy", "to do")) if exc.facts.get(name)]
    return said


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest known name, else empty."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
