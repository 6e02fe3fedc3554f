"""The answer's text. The verdicts are assembled as strings: msgspec structs for each stored event would cost three times as much."""

from __future__ import annotations

import msgspec

from hourmark.errors import PlatformError, Rejected, Unavailable, UnknownEventType
from hourmark.event import Verdict

EMPTY = b'{"results":{}}'


def parked(partition: int, offset: int) -> str:
    return _text(Verdict("parked", partition=partition, offset=offset, code=UnknownEventType.code))


def rejected(error: Rejected) -> str:
    """`path` is a JSON pointer into the event; into the whole request when the event has no usable id."""
    return _text(Verdict("rejected", code=error.code, path=error.path or None, detail=error.message))


def retry(error: Unavailable) -> str:
    return _text(Verdict("retry", code=error.code, detail=error.message, retry_after=error.retry_after))


def results(entries: list[str]) -> bytes:
    """`entries`: `"<id>":<verdict>` each."""
    return f'{{"results":{{{",".join(entries)}}}}}'.encode()


def failure(error: PlatformError) -> bytes:
    """Body of every answer that is an error."""
    return msgspec.json.encode({"code": error.code, "message": error.message})


def _text(verdict: Verdict) -> str:
    return msgspec.json.encode(verdict).decode()
