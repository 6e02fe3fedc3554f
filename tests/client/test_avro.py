"""Payload JSON → wire bytes: values, refusals with their place, keys."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourmark.topics import partition_of as shelf_partition_of
from hourmark_client.avro import Mismatch, WireEncoder
from hourmark_client.encode import encode_payload
from hourmark_client.envelope import SentBlock, check_envelope, envelope_bytes
from hourmark_client.kafka import partition_of
from hourmark_client.notices import Held
from hourmark_client.transport import Sender

from .schemas import EVERYTHING, wire_schema

ID = "01950000-0000-7000-8000-000000000001"
SENDER = Sender("web", "box")
SCHEMA = wire_schema("a.thing", EVERYTHING)
PARSED = fastavro.parse_schema(SCHEMA)
GOOD: dict[str, Any] = {
    "flag": True,
    "small": -(2**31),
    "large": 2**63 - 1,
    "thin": 0.5,
    "wide": 3,
    "text": "é😀",
    "raw": b"\x00\xff",
    "hash": b"abcd",
    "same_hash": "YWJjZA==",
    "colour": "RED",
    "price": Decimal("12.30"),
    "uuid": UUID(int=7),
    "day": date(2026, 3, 1),
    "clock": time(7, 0, 0, 5),
    "at": datetime(2026, 3, 1, 7, tzinfo=UTC),
    "local": datetime(2026, 3, 1, 7),  # noqa: DTZ001  # a local timestamp has no zone
    "maybe": 5,
    "list": [1, 2],
    "map": {"a": 1, "b": None},
    "inner": {"class": "x", "deep": [{"n": 1}, {"n": 2}]},
    "either": 3,
}


def held(payload: dict[str, Any]) -> Held:
    return Held("a.thing", ID, 1_772_348_398_500_000, encode_payload(payload), 0, sequence=12, attempt=2)


def roundtrip(payload: dict[str, Any]) -> dict[str, Any]:
    _, value = WireEncoder(SCHEMA, 77).encode(held(payload), SentBlock(SENDER, 1_772_348_400_000_000))
    stream = BytesIO(value)
    assert stream.read(5) == b"\x00" + struct.pack(">I", 77)
    assert value[5:21] == UUID(ID).bytes
    record: Any = fastavro.schemaless_reader(stream, PARSED, None)
    assert not stream.read()
    return dict(record)


def test_every_type_arrives_as_it_was() -> None:
    record = roundtrip(GOOD)
    payload = {name: value for name, value in record.items() if not name.startswith("_")}
    assert payload == {**GOOD, "either": 3.0, "wide": 3.0, "same_hash": b"abcd", "map": {"a": 1.0, "b": None}}
    assert {name: value for name, value in record.items() if name.startswith("_")} == {
        "_event_id": UUID(ID).bytes,
        "_event_time": datetime(2026, 3, 1, 6, 59, 58, 500_000, UTC),
        "_sent_at": datetime(2026, 3, 1, 7, tzinfo=UTC),
        "_received_at": datetime(2026, 3, 1, 7, tzinfo=UTC),
        "_sdk": "hourmark-python",
        "_sdk_version": SENDER.sdk_version,
        "_app": "web",
        "_install_id": "box",
        "_sequence": 12,
        "_attempt": 2,
    }


def test_plain_json_forms_give_the_same() -> None:
    plain = {**GOOD, "raw": "AP8=", "hash": "YWJjZA==", "price": "12.30", "uuid": str(UUID(int=7)), "at": 1_772_348_400_000, "day": 20513}
    plain |= {"clock": 25_200_000_005, "local": 1_772_348_400_000_000}
    assert roundtrip(plain) == roundtrip(GOOD)


def test_missing_fields_get_their_defaults() -> None:
    record = roundtrip({name: value for name, value in GOOD.items() if name not in ("colour", "list", "map", "maybe", "inner", "either")})
    assert (record["colour"], record["list"], record["map"], record["maybe"], record["inner"]) == ("BLUE", [], {}, None, None)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"flag": 1}, "/payload/flag"),
        ({"small": 2**31}, "/payload/small"),
        ({"small": True}, "/payload/small"),
        ({"large": 1.5}, "/payload/large"),
        ({"large": "1"}, "/payload/large"),
        ({"large": None}, "/payload/large"),
        ({"thin": 1e300}, "/payload/thin"),
        ({"text": 5}, "/payload/text"),
        ({"raw": "no base64!"}, "/payload/raw"),
        ({"hash": b"abc"}, "/payload/hash"),
        ({"colour": "GREEN"}, "/payload/colour"),
        ({"price": "12.345"}, "/payload/price"),
        ({"price": "1234567.00"}, "/payload/price"),
        ({"price": "NaN"}, "/payload/price"),
        ({"uuid": "x"}, "/payload/uuid"),
        ({"day": "2026-02-30"}, "/payload/day"),
        ({"at": "2026-03-01T07:00:00"}, "/payload/at"),
        ({"local": "2026-03-01T07:00:00Z"}, "/payload/local"),
        ({"list": [1, "x"]}, "/payload/list"),
        ({"map": {"a": "x"}}, "/payload/map"),
        ({"inner": {"class": "x", "deep": [{"n": 1}, {"n": "2"}]}}, "/payload/inner/deep"),
        ({"inner": {"class": "x", "deep": [], "more": 1}}, "/payload/inner/more"),
        ({"either": {"a": 1}}, "/payload/either"),
        ({"at": "0001-01-01T00:00:00+01:00"}, "/payload/at"),
        ({"unknown": 1}, "/payload/unknown"),
        ({"_app": "x"}, "/payload/_app"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Mismatch) as caught:
        roundtrip({**GOOD, **change})
    assert caught.value.path.startswith(path)
    assert caught.value.detail


def test_a_missing_required_field_is_refused() -> None:
    with pytest.raises(Mismatch, match="large"):
        roundtrip({name: value for name, value in GOOD.items() if name != "large"})


@pytest.mark.parametrize(("value", "key"), [("é", "é".encode()), (12, b"12"), (None, UUID(ID).bytes)])
def test_the_declared_key_is_the_records_key(value: Any, key: bytes) -> None:
    schema = wire_schema("a.thing", [{"name": "k", "type": ["null", "long", "string"]}])
    assert WireEncoder(schema, 1, "k").encode(held({"k": value}), SentBlock(SENDER, 0))[0] == key
    assert WireEncoder(schema, 1).encode(held({"k": value}), SentBlock(SENDER, 0))[0] == UUID(ID).bytes


@given(st.binary(max_size=40), st.integers(1, 400))
def test_partitions_are_those_of_the_platform(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == shelf_partition_of(key, partitions)


LONGS = st.integers(-(2**63), 2**63 - 1)


@given(LONGS, LONGS, st.integers(1, 2**63 - 1), st.integers(1, 2**31 - 1), st.text(), st.text(min_size=1))
def test_the_envelope_is_what_fastavro_writes(event_us: int, now: int, sequence: int, attempt: int, app: str, install: str) -> None:
    sender = Sender(app, install)
    one = Held("a.thing", ID, event_us, b"", 0, sequence=sequence, attempt=attempt)
    out = BytesIO()
    record = {"_event_id": UUID(ID).bytes, "_event_time": event_us, "_sent_at": now, "_received_at": now, "_sdk": sender.sdk}
    record |= {"_sdk_version": sender.sdk_version, "_app": app, "_install_id": install, "_sequence": sequence, "_attempt": attempt}
    fastavro.schemaless_writer(out, fastavro.parse_schema(wire_schema("a.thing", [])), record)
    assert envelope_bytes(UUID(ID).bytes, one, SentBlock(sender, now)) == out.getvalue()


@pytest.mark.parametrize("change", [lambda f: f[1:], lambda f: [f[1], f[0], *f[2:]], lambda f: [*f, {"name": "_new", "type": "long"}]])
def test_an_envelope_we_do_not_know_is_refused(change: Any) -> None:
    fields = wire_schema("a.thing", [])["fields"]
    check_envelope(fields)
    with pytest.raises(ValueError, match="does not know the envelope"):
        check_envelope(change(fields))
