"""The record on `rejected`: the original bytes as value, and headers that say what was wrong, where, and from whom."""

from __future__ import annotations

from typing import Final

import msgspec

REJECT_HEADER: Final = "hm-rejected"


class Reject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`room`: who refused it. `code`: stable error code. `at`: ms since 1970, `sent_at`: µs. Coordinates only when it came from a topic.

    `request_id`: of the HTTP request that it came with, as the answer named it.
    """

    room: str
    code: str
    event_type: str
    detail: str = ""
    path: str = ""
    event_id: str = ""
    sdk: str = ""
    sdk_version: str = ""
    app: str = ""
    install: str = ""
    sent_at: int = 0
    at: int = 0
    request_id: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1


_decoder = msgspec.json.Decoder(Reject)


def reject_headers(reject: Reject) -> list[tuple[str, bytes]]:
    return [(REJECT_HEADER, msgspec.json.encode(reject))]


def read_reject(headers: list[tuple[str, bytes]] | None) -> Reject | None:
    """The facts in these headers, or None when they hold none."""
    for name, value in headers or ():
        if name == REJECT_HEADER:
            try:
                return _decoder.decode(value)
            except msgspec.DecodeError:
                return None
    return None
