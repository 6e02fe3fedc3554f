"""One wire schema, compiled: events of one request to the bytes that Kafka keeps, identical to fastavro writing the whole record.

The envelope's fields that are the same in all events of a request stand side by side in the wire schema: they are encoded once per request
and spliced in. Only the payload goes through fastavro, into one buffer for all events of a type.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_writer

from hourmark.errors import InvariantBroken, SchemaMismatch
from hourmark.event import ENVELOPE, frame
from hourmark.schemas import WireSchema

from .payload import PayloadReader

VALUE_MAX: Final = 2 * 1024 * 1024 - 4096  # what a raw topic takes, less the record's own overhead

# Two digits of a varint to the base 128 at once: with a continuation bit on the second (_MORE), and as the end (_END).
_MORE: Final = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(16384)]
_END: Final = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(16384)]
_NULL, _SECOND = b"\x00", b"\x02"  # indexes of the branches of [null, T]


def long_bytes(number: int) -> bytes:
    """Avro's int and long: zigzag, then base 128, little end first. `number` must fit 64 bits."""
    digits = number << 1 if number >= 0 else (-number << 1) - 1
    if digits < 16384:
        return _END[digits]
    if digits < 1 << 28:
        return _MORE[digits & 16383] + _END[digits >> 14]
    if digits < 1 << 42:
        return _MORE[digits & 16383] + _MORE[digits >> 14 & 16383] + _END[digits >> 28]
    head = _MORE[digits & 16383] + _MORE[digits >> 14 & 16383] + _MORE[digits >> 28 & 16383]
    digits >>= 42
    return head + (_END[digits] if digits < 16384 else _MORE[digits & 16383] + _END[digits >> 14])


def text_bytes(text: str) -> bytes:
    """Avro's string. Raises UnicodeEncodeError for lone surrogates."""
    found = text.encode()
    return long_bytes(len(found)) + found


class Sender(NamedTuple):
    """What all events of one request have in common; times in microseconds since 1970."""

    sdk: str
    sdk_version: str
    app: str
    install: str | None
    sent_at: int
    received_at: int


def sender_bytes(sender: Sender) -> bytes:
    """The fields `_sent_at` to `_install_id` of every event of the request."""
    return b"".join(
        (
            long_bytes(sender.sent_at),
            long_bytes(sender.received_at),
            _who(sender.sdk, sender.sdk_version, sender.app, sender.install),
        )
    )


@lru_cache(1024)
def _who(sdk: str, sdk_version: str, app: str, install: str | None) -> bytes:
    """The same senders come again and again."""
    return text_bytes(sdk) + text_bytes(sdk_version) + text_bytes(app) + (_NULL if install is None else _SECOND + text_bytes(install))


class Codec:
    """`read` takes one payload, `write` turns many into record values. Immutable once built; shared by all requests."""

    def __init__(self, schema: WireSchema) -> None:
        """Raises InvariantBroken when this is no wire schema that we can write: the registry would not have compiled it."""
        self.schema_id = schema.schema_id
        self._frame = frame(schema.schema_id)
        try:
            parsed: Any = parse_schema(schema.avro, _write_hint=False)
            names = [field["name"] for field in parsed["fields"]]
            if names[: len(ENVELOPE)] != [field["name"] for field in ENVELOPE]:
                raise ValueError(f"its first fields are not the envelope: {names[: len(ENVELOPE)]}")
            reader = PayloadReader(parsed["name"], parsed["fields"][len(ENVELOPE) :])
            self._schema: Any = parse_schema({"type": "record", "name": parsed["name"], "fields": reader.fields})
        except Exception as exc:  # whatever a damaged entry makes the libraries raise
            raise InvariantBroken(f"wire schema {schema.schema_id} of {schema.event} cannot be used: {exc}") from exc
        self.read = reader.read

    def write(self, common: bytes, heads: Sequence[tuple[bytes, int, int | None, int]], payloads: Sequence[dict[str, Any]]) -> list[bytes]:
        """Values of these events. A head is (event id, time in microseconds, sequence, attempt); `common` comes from `sender_bytes`."""
        buffer, schema, framed = BytesIO(), self._schema, self._frame
        tell = buffer.tell
        ends = [0]
        for payload in payloads:
            schemaless_writer(buffer, schema, payload)
            ends.append(tell())
        data = buffer.getvalue()
        values = []
        start = 0
        for (event_id, time, sequence, attempt), end in zip(heads, ends[1:], strict=True):
            seq = _NULL if sequence is None else _SECOND + long_bytes(sequence)
            values.append(b"".join((framed, event_id, long_bytes(time), common, seq, long_bytes(attempt), data[start:end])))
            start = end
        return values

    def check(self, payload: dict[str, Any]) -> None:
        """Raises SchemaMismatch when fastavro cannot write the payload. For finding the one that spoils a `write` of many."""
        try:
            schemaless_writer(BytesIO(), self._schema, payload)
        except Exception as exc:
            raise SchemaMismatch(f"the payload cannot be encoded: {exc}", path="/payload") from exc
