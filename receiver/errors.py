"""A whole request refused: what the sender did wrong (4xx). What is wrong with the world stays `Unavailable` (429 and 503).

Rejected
└ Refused          status and code of the answer; nothing of the request was taken
"""

from __future__ import annotations

from typing import NoReturn

from hourmark.errors import Rejected


class Refused(Rejected):
    """`status` is the HTTP answer. `close`: the connection is of no more use (an unread or stalled body)."""

    def __init__(self, status: int, code: str, message: str, *, close: bool = False, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.close = close
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def unreadable(message: str, path: str = "") -> NoReturn:
    """400: the request as a whole cannot be understood."""
    raise Refused(400, "invalid_envelope", f"{message} at {path}" if path else message)
