"""Bytes of a request to its events: the fast way for well-formed batches, and event by event when one of them is wrong.

What concerns the request as a whole raises Refused; what concerns one event becomes its fault, and its neighbours are not affected.
Unknown fields are refused, in the request and in an event: a misspelt `seq` must not pass silently.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from hourmark.errors import InvalidEnvelope, Rejected

from .codec import Sender
from .errors import Refused, unreadable
from .explain import pointer_of
from .isolate import id_and_type, take_apart
from .logical import MAX_MICROS, MIN_MICROS, micros_of

Name = Annotated[str, Meta(max_length=256)]  # bounded, because it is copied into every event of the batch
Moment = Annotated[datetime, Meta(tz=True)]


class Sdk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    version: Name = ""


class Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event as it was sent."""

    type: str
    id: str
    time: Moment
    payload: Raw
    seq: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    attempt: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    sdk: Sdk
    app: Name
    events: list[Event]
    install: Name | None = None
    sent_at: Moment | None = None


class _RawRequest(msgspec.Struct, forbid_unknown_fields=True):
    sdk: Sdk
    app: Name
    events: list[Raw]
    install: Name | None = None
    sent_at: Moment | None = None


class _Loose(msgspec.Struct):
    """Whatever of an event can be known when it is wrong."""

    id: Raw = Raw(b"null")
    type: Raw = Raw(b"null")


class Fault(NamedTuple):
    """An event that is refused before its payload is looked at. `event_id` None: it has no usable id; then `key` is `#<index>`."""

    key: str
    event_id: bytes | None
    event_type: str
    error: Rejected


class Batch(NamedTuple):
    """A request, taken apart. `events[i]` None: `faults[i]` says why. `ids[i]` belongs to `events[i]`; `body` is the request itself.

    `spoilt`: the events' original bytes, where the body as a whole is no JSON.
    """

    sender: Sender
    events: list[Event | None]
    ids: list[bytes]
    faults: dict[int, Fault]
    body: bytes
    spoilt: list[Raw] | None = None

    def raws(self) -> list[Raw]:
        """The events' original bytes; decoded again, because only refused ones need them."""
        return _raw_request.decode(self.body).events if self.spoilt is None else self.spoilt


_request: Final = msgspec.json.Decoder(_Request)
_raw_request: Final = msgspec.json.Decoder(_RawRequest)
_event: Final = msgspec.json.Decoder(Event)
_loose: Final = msgspec.json.Decoder(_Loose)
_text: Final = msgspec.json.Decoder(str)


def parse(body: bytes, received_at: int, most: int) -> Batch:
    """Raises Refused: 400 when the request cannot be understood, 413 when it holds more than `most` events."""
    spoilt: list[Raw] | None = None
    try:
        str(body, "utf-8")  # msgspec skips over payloads without looking at their characters
        request: _Request | _RawRequest = _request.decode(body)
    except msgspec.ValidationError:
        request = _parse_raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        request = _parse_spoilt(body, exc)
        spoilt = request.events
    if len(request.events) > most:
        raise Refused(413, "too_many_events", f"{len(request.events)} events; a request may hold {most}")
    sender = Sender(
        request.sdk.name,
        request.sdk.version,
        request.app,
        request.install,
        received_at if request.sent_at is None else micros_of(request.sent_at),
        received_at,
    )
    if not MIN_MICROS <= sender.sent_at <= MAX_MICROS:
        unreadable("sent_at lies outside the years 1 to 9999", "/sent_at")
    if isinstance(request, _Request):
        ids = canonical_ids([event.id for event in request.events])
        if ids is not None:
            return Batch(sender, list(request.events), ids, {}, body)
        request = _parse_raw(body)
    return _one_by_one(request.events, sender, body)._replace(spoilt=spoilt)


def _parse_spoilt(body: bytes, reason: Exception) -> _RawRequest:
    """The request, when only some of its events are no JSON."""
    try:
        head, events = take_apart(body)
        str(head, "utf-8")
        request = _raw_request.decode(head)
    except msgspec.ValidationError as exc:
        pointer, text = pointer_of(str(exc))
        unreadable(text, pointer or "/")
    except (ValueError, RecursionError):
        unreadable(f"the body is no JSON: {reason}")
    if not events:
        unreadable(f"the body is no JSON: {reason}")
    return msgspec.structs.replace(request, events=[Raw(event) for event in events])


def _parse_raw(body: bytes) -> _RawRequest:
    try:
        return _raw_request.decode(body)
    except msgspec.ValidationError as exc:
        pointer, text = pointer_of(str(exc))
        unreadable(text, pointer or "/")
    except (msgspec.DecodeError, RecursionError) as exc:
        unreadable(f"the body is no JSON: {exc}")


def canonical_ids(texts: list[str]) -> list[bytes] | None:
    """16 bytes each, when all are UUIDs in the usual form of 36 characters (any case), else None. Looks at all of them at once."""
    joined, count = "".join(texts), len(texts)
    digits = joined.replace("-", "")
    dashes = "-" * count
    if len(joined) != 36 * count or len(digits) != 32 * count or not joined.isascii() or max(map(len, texts), default=36) != 36:
        return None
    if not joined[8::36] == joined[13::36] == joined[18::36] == joined[23::36] == dashes:
        return None
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return None
    # fromhex skips white space: then bytes are missing
    return [packed[start : start + 16] for start in range(0, 16 * count, 16)] if len(packed) == 16 * count else None


def _one_by_one(raws: list[Raw], sender: Sender, body: bytes) -> Batch:
    events: list[Event | None] = []
    ids: list[bytes] = []
    faults: dict[int, Fault] = {}
    for index, raw in enumerate(raws):
        event, event_id = None, b""
        try:
            event, event_id = parse_event(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as exc:
            event = None
            faults[index] = _fault(index, raw, exc)
        events.append(event)
        ids.append(event_id)
    return Batch(sender, events, ids, faults, body)


def parse_event(raw: Raw) -> tuple[Event, bytes]:
    """One event by itself and its id. Raises msgspec.DecodeError, ValueError (of which UnicodeError is one) or RecursionError."""
    str(raw, "utf-8")
    event = _event.decode(raw)
    return event, _event_id(event.id)


def _event_id(text: str) -> bytes:
    """36 characters with dashes or 32 without, in any case. Raises ValueError."""
    found = canonical_ids([text])
    if found is not None:
        return found[0]
    if len(text) == 32 and text.isascii() and text.isalnum():
        return UUID(hex=text).bytes
    raise ValueError("expected a UUID")


def _fault(index: int, raw: Raw, error: Exception) -> Fault:
    pointer, text = pointer_of(str(error))
    try:
        loose = _loose.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        key, event_type = id_and_type(bytes(raw))
        text, missing = f"the event is no JSON: {text}", InvalidEnvelope(text, path=f"/events/{index}")
    else:
        key, event_type = _text_of(loose.id), _text_of(loose.type)
        missing = InvalidEnvelope("expected a UUID", path=f"/events/{index}/id")
    try:
        event_id = _event_id(key)
    except ValueError:
        return Fault(f"#{index}", None, event_type, missing)
    return Fault(key, event_id, event_type, InvalidEnvelope(text, path=pointer))


def _text_of(raw: Raw) -> str:
    try:
        return _text.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return ""
