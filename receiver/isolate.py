"""A body that is no clean JSON, taken apart by a lenient reader, so that one spoilt event does not take its neighbours with it.

Python's own reader accepts what JSON does not (NaN, lone surrogates, control characters in strings), and bytes that are no UTF-8 pass as
surrogates. Here it only finds where each event begins and ends: what is accepted is still decided by the strict reader, event by event.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from hourmark.topics import is_event_type

_LENIENT: Final = json.JSONDecoder(strict=False)
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_BYTES: Final = ("utf-8", "surrogateescape")


class Pieces(NamedTuple):
    """`head`: the request with an empty list of events. `events`: the original bytes of each."""

    head: bytes
    events: list[bytes]


def take_apart(body: bytes) -> Pieces:
    """Raises ValueError or RecursionError when even a lenient reader cannot tell where the events are."""
    text = str(body, *_BYTES)
    at = _after(text, _skip(text, 0), "{")
    spans: list[bytes] = []
    cut = (0, 0)
    while not text.startswith("}", at):
        name, at = _LENIENT.raw_decode(text, at)
        at = _skip(text, _after(text, _skip(text, at), ":"))
        if name == "events" and text.startswith("[", at):
            spans, end = _elements(text, at)
            cut = (at, end)
        else:
            _, end = _LENIENT.raw_decode(text, at)
        at = _separated(text, end, "}")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the request")
    start, end = cut
    return Pieces((text[:start] + "[]" * bool(end) + text[end:]).encode(*_BYTES), spans)


def _elements(text: str, at: int) -> tuple[list[bytes], int]:
    """The original bytes of an array's elements, and where the array ends."""
    spans = []
    at = _skip(text, at + 1)
    while not text.startswith("]", at):
        _, end = _LENIENT.raw_decode(text, at)
        spans.append(text[at:end].encode(*_BYTES))
        at = _separated(text, end, "]")
    return spans, at + 1


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _after(text: str, at: int, mark: str) -> int:
    if not text.startswith(mark, at):
        raise ValueError(f"expected {mark!r} at character {at}")
    return _skip(text, at + 1)


def _separated(text: str, at: int, closing: str) -> int:
    """Behind a member: the next one's start, or where `closing` stands. A comma must be followed by another member."""
    at = _skip(text, at)
    if text.startswith(closing, at):
        return at
    at = _after(text, at, ",")
    if text.startswith(closing, at):
        raise ValueError(f"expected a member before {closing!r} at character {at}")
    return at


def id_and_type(event: bytes) -> tuple[str, str]:
    """What a spoilt event says of itself; empty where it says nothing usable."""
    try:
        found: Any = _LENIENT.decode(str(event, *_BYTES))
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    event_id, name = found.get("id"), found.get("type")
    return event_id if isinstance(event_id, str) else "", name if isinstance(name, str) and is_event_type(name) else ""
