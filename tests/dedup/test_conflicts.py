"""The same id with another payload is noticed on a sample; an honest resend is none."""

from __future__ import annotations

import io
from typing import Any

import fastavro

from dedup.conflicts import SAMPLE, conflicts, payload_start
from dedup.deduplicator import Slice
from dedup.index import Owners
from hourmark.event import ENVELOPE, Coordinates, frame
from tests.dedup.records import Record

FIELDS = [*map(dict, ENVELOPE), {"name": "number", "type": "long"}, {"name": "text", "type": "string"}]
SCHEMA = fastavro.parse_schema({"type": "record", "name": "Thing", "fields": FIELDS})


def value(number: int, *, attempt: int = 1, schema_id: int = 1, **envelope: Any) -> bytes:
    event = {
        "_event_id": b"i" * 16,
        "_event_time": 1_700_000_000_000_000,
        "_sent_at": 1_700_000_000_000_000 + attempt,
        "_received_at": 1_700_000_000_000_000 + attempt * 1_000_000,
        "_sdk": "python",
        "_sdk_version": "1.2.3",
        "_app": "app",
        "_install_id": None,
        "_sequence": None,
        "_attempt": attempt,
        "number": number,
        "text": "payload",
    } | envelope
    out = io.BytesIO(frame(schema_id))
    out.seek(0, 2)
    fastavro.schemaless_writer(out, SCHEMA, event)
    return out.getvalue()


def found(first: bytes, copy: bytes) -> int:
    """The first in one partition, the copy in another, both in one poll."""
    slices = [Slice("t.thing", 1, 0, [record(5, first)]), Slice("t.thing", 1, 1, [record(9, copy)])]
    return conflicts(slices, [range(1), range(1, 2)], Owners({1: Coordinates(1, 0, 5).pack()}))["t.thing"]


def record(offset: int, data: bytes) -> Record:
    return Record(offset, 0, data)


def test_an_honest_resend_is_no_conflict() -> None:
    assert found(value(1), value(1, attempt=300)) == 0
    assert found(value(1, _install_id="a" * 100, _sequence=7), value(1, attempt=2, _install_id="b", _sequence=None)) == 0


def test_another_payload_is() -> None:
    assert found(value(1), value(2)) == 1


def test_another_version_of_the_schema_says_nothing() -> None:
    assert found(value(1), value(2, schema_id=2)) == 0


def test_the_envelope_is_skipped_exactly() -> None:
    data = value(77, _sequence=-3, _install_id="ü")
    assert data[payload_start(data) :] == b"\x9a\x01\x0epayload"


def test_what_cannot_be_compared_is_left_alone() -> None:
    slices = [Slice("t.thing", 1, 0, [record(5, value(1))])]
    assert not conflicts(slices, [range(1)], Owners({0: Coordinates(1, 0, 4).pack()})), "the owner is of an earlier poll"
    assert not conflicts(slices, [range(1)], Owners({0: Coordinates(1, 3, 5).pack()})), "… of a partition that is not in this one"
    assert not conflicts(slices, [range(0)], Owners({0: Coordinates(1, 0, 5).pack()}))
    assert found(b"\x00short" + b"i" * 20, b"\x00other" + b"i" * 20) == 0
    assert found(b"\x00\x00\x00\x00\x01" + b"i" * 17 + b"\xff", b"\x00\x00\x00\x00\x01" + b"i" * 17) == 1


def test_the_sample_is_bounded() -> None:
    copies = [record(100 + number, value(2)) for number in range(SAMPLE * 2)]
    slices = [Slice("t.thing", 1, 0, [record(5, value(1))]), Slice("t.thing", 1, 1, copies)]
    owners = Owners({1 + number: Coordinates(1, 0, 5).pack() for number in range(len(copies))})
    assert conflicts(slices, [range(1), range(1, 1 + len(copies))], owners)["t.thing"] == SAMPLE
