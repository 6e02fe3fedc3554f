"""The spliced value is byte for byte what fastavro writes for the whole record under the wire schema as it was declared."""

from __future__ import annotations

import base64
import io
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from hourmark.errors import InvariantBroken, SchemaMismatch
from hourmark.event import frame
from hourmark.schemas import WireSchema, avro_text
from receiver.codec import Codec, Sender, long_bytes, sender_bytes

from .fakes import PLAYED, wire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
MOMENT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001  zone follows
DECIMAL = st.integers(-(10**20) + 1, 10**20 - 1).map(lambda n: Decimal(n).scaleb(-4))

# What JSON holds, and what fastavro wants for the same value, for each kind of schema.
Case = tuple[Any, st.SearchStrategy[tuple[Any, Any]]]


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, value))


def logical(base: str, name: str, **facts: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": name, **facts}


def millis(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


CASES: dict[str, Case] = {
    "boolean": ("boolean", same(st.booleans())),
    "int": ("int", same(st.integers(-(2**31), 2**31 - 1))),
    "long": ("long", same(INT64)),
    "double": ("double", same(st.floats(allow_nan=False, allow_infinity=False) | INT64)),
    "float": ("float", same(st.floats(width=32, allow_nan=False, allow_infinity=False))),
    "string": ("string", same(TEXT)),
    "bytes": ("bytes", st.binary(max_size=99).map(lambda one: (base64.b64encode(one).decode(), one))),
    "nullable": (["null", "string"], same(st.none() | TEXT)),
    "nullable behind": (["long", "null"], same(st.none() | INT64)),
    "enum": ({"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}, same(st.sampled_from("ABC"))),
    "fixed": (
        {"type": "fixed", "name": "F", "size": 4},
        st.binary(min_size=4, max_size=4).map(lambda one: (base64.b64encode(one).decode(), one)),
    ),
    "array": ({"type": "array", "items": "long"}, same(st.lists(INT64, max_size=9))),
    "map": ({"type": "map", "values": ["null", "double"]}, same(st.dictionaries(TEXT, st.none() | st.floats(-9, 9), max_size=5))),
    "record": (
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "a", "type": "string"}, {"name": "when", "type": logical("long", "timestamp-micros")}],
        },
        st.tuples(TEXT, MOMENT).map(lambda one: ({"a": one[0], "when": one[1].isoformat()}, {"a": one[0], "when": one[1]})),
    ),
    "micros": (logical("long", "timestamp-micros"), MOMENT.map(lambda one: (one.isoformat(), one))),
    "millis": (logical("long", "timestamp-millis"), MOMENT.map(lambda one: (one.isoformat(), millis(one)))),
    "micros as a number": (
        logical("long", "timestamp-micros"),
        MOMENT.map(lambda one: ((one - EPOCH) // timedelta(microseconds=1), one)),
    ),
    "nullable micros": (
        ["null", logical("long", "timestamp-micros")],
        st.just((None, None)) | MOMENT.map(lambda one: (one.isoformat(), one)),
    ),
    "local": (
        logical("long", "local-timestamp-micros"),
        MOMENT.map(lambda one: (one.replace(tzinfo=None).isoformat(), one.replace(tzinfo=None))),
    ),
    "date": (logical("int", "date"), st.dates().map(lambda one: (one.isoformat(), one))),
    "time": (logical("long", "time-micros"), st.times().map(lambda one: (one.isoformat(), one))),
    "uuid": (logical("string", "uuid"), st.uuids().map(lambda one: (str(one).upper(), one))),
    "decimal": (logical("bytes", "decimal", precision=20, scale=4), DECIMAL.map(lambda one: (format(one, "f"), one))),
    "decimal in fixed": (
        {"type": "fixed", "name": "D", "size": 12, "logicalType": "decimal", "precision": 20, "scale": 4},
        DECIMAL.map(lambda one: (format(one, "f"), one)),
    ),
    "decimals": (
        {"type": "array", "items": logical("bytes", "decimal", precision=20, scale=4)},
        st.lists(DECIMAL, max_size=3).map(lambda many: ([format(one, "f") for one in many], many)),
    ),
}


def codec_of(fields: list[dict[str, Any]], schema_id: int = 9) -> Codec:
    return Codec(WireSchema(revision=1, schema_id=schema_id, event="a.b", version=1, fingerprint="", text=avro_text(wire("W", fields))))


@st.composite
def records(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Fields, and some payloads: as JSON holds them and as fastavro takes them."""
    names = draw(st.lists(st.sampled_from(sorted(CASES)), min_size=0, max_size=6, unique=True))
    fields = [{"name": f"f{number}", "type": CASES[name][0]} for number, name in enumerate(names)]
    payloads = []
    for _ in range(draw(st.integers(1, 3))):
        pairs = [draw(CASES[name][1]) for name in names]
        payloads.append(({f"f{n}": pair[0] for n, pair in enumerate(pairs)}, {f"f{n}": pair[1] for n, pair in enumerate(pairs)}))
    return fields, payloads


HEADS = st.tuples(
    st.binary(min_size=16, max_size=16),
    st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    st.none() | INT64,
    st.integers(1, 2**31 - 1),
)
SENDERS = st.builds(Sender, TEXT, TEXT, TEXT, st.none() | TEXT, INT64, INT64)


@settings(max_examples=150, deadline=None)
@given(records(), SENDERS, st.data())
def test_as_fastavro_writes_it(found: Any, sender: Sender, data: st.DataObject) -> None:
    fields, payloads = found
    heads = [data.draw(HEADS) for _ in payloads]
    codec = codec_of(fields)
    read = [codec.read(Raw(msgspec.json.encode(json))) for json, _ in payloads]
    values = codec.write(sender_bytes(sender), heads, read)
    whole = fastavro.parse_schema(wire("W", fields))
    for value, (event_id, moment, sequence, attempt), (_, native) in zip(values, heads, payloads, strict=True):
        record = {
            "_event_id": event_id,
            "_event_time": moment,
            "_sent_at": sender.sent_at,
            "_received_at": sender.received_at,
            "_sdk": sender.sdk,
            "_sdk_version": sender.sdk_version,
            "_app": sender.app,
            "_install_id": sender.install,
            "_sequence": sequence,
            "_attempt": attempt,
            **native,
        }
        out = io.BytesIO()
        fastavro.schemaless_writer(out, whole, record)
        assert value == frame(9) + out.getvalue()


@given(INT64)
def test_long_bytes(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert long_bytes(number) == out.getvalue()


@pytest.mark.parametrize("edge", [bits + add for power in range(64) for bits in (2**power, -(2**power)) for add in (-1, 0)])
def test_long_bytes_at_the_edges(edge: int) -> None:
    number = max(-(2**63), min(edge, 2**63 - 1))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert long_bytes(number) == out.getvalue()


def written(fields: list[dict[str, Any]], payload: bytes) -> dict[str, Any]:
    """The payload as a reader of the topic sees it."""
    codec = codec_of(fields)
    (value,) = codec.write(sender_bytes(Sender("s", "1", "a", None, 0, 0)), [(bytes(16), 0, None, 1)], [codec.read(Raw(payload))])
    stream = io.BytesIO(value[5:])
    found = fastavro.schemaless_reader(stream, wire("W", fields), None)
    assert not stream.read()
    assert isinstance(found, dict)
    return {name: field for name, field in found.items() if not name.startswith("_")}


def field(avro: Any, **facts: Any) -> list[dict[str, Any]]:
    return [{"name": "f", "type": avro, **facts}]


def test_defaults_stand_for_missing_fields() -> None:
    nested = {"type": "record", "name": "N", "fields": [{"name": "a", "type": "long", "default": 5}, {"name": "b", "type": "string"}]}
    fields = [
        {"name": "text", "type": "string", "default": "x"},
        {"name": "raw", "type": "bytes", "default": "\u00ff"},
        {"name": "list", "type": {"type": "array", "items": "long"}, "default": [1, 2]},
        {"name": "map", "type": {"type": "map", "values": "long"}, "default": {"a": 1}},
        {"name": "nested", "type": nested, "default": {"b": "y"}},
        {"name": "when", "type": logical("long", "timestamp-millis"), "default": 1000},
        {"name": "price", "type": logical("bytes", "decimal", precision=4, scale=2), "default": "\u0001"},
        {"name": "many", "type": ["long", "string", "null"], "default": 3},
    ]
    assert written(fields, b"{}") == {
        "text": "x",
        "raw": b"\xff",
        "list": [1, 2],
        "map": {"a": 1},
        "nested": {"a": 5, "b": "y"},
        "when": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "price": Decimal("0.01"),
        "many": 3,
    }
    assert written([{"name": "nested", "type": nested}], b'{"nested":{"b":"z"}}') == {"nested": {"a": 5, "b": "z"}}


MANY = [
    "null",
    "long",
    "double",
    "string",
    {"type": "record", "name": "A", "fields": [{"name": "x", "type": "long"}]},
    {"type": "record", "name": "B", "fields": [{"name": "y", "type": logical("long", "timestamp-micros")}]},
    {"type": "array", "items": "string"},
]


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        (b"null", None),
        (b"3", 3),
        (b"3.5", 3.5),
        (b'"t"', "t"),
        (b'{"x":1}', {"x": 1}),
        (b'{"y":"1970-01-01T00:00:00.000001Z"}', {"y": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}),
        (b'["a"]', ["a"]),
    ],
)
def test_unions_are_resolved_by_type(json: bytes, expected: Any) -> None:
    assert written(field(MANY), b'{"f":%b}' % json) == {"f": expected}


def test_of_an_ambiguous_union_the_first_branch_is_taken() -> None:
    assert written(field(["double", "long"]), b'{"f":3}') == {"f": 3.0}
    assert isinstance(written(field(["double", "long"]), b'{"f":3}')["f"], float)
    with pytest.raises(SchemaMismatch, match="expected one of null, long, double") as raised:
        written(field(MANY), b'{"f":true}')
    assert raised.value.path == "/payload/f"


@pytest.mark.parametrize(
    ("avro", "json", "expected"),
    [
        (logical("long", "timestamp-micros"), b'"1969-12-31T23:59:59.999999Z"', datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (logical("long", "timestamp-millis"), b'"1969-12-31T23:59:59.999999Z"', datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        (logical("long", "timestamp-micros"), b'"9999-12-31T23:59:59.999999Z"', datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (logical("long", "timestamp-micros"), b'"2026-03-01T07:00:00+05:30"', datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        (logical("long", "timestamp-micros"), b"-1", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (logical("int", "date"), b'"1969-12-31"', date(1969, 12, 31)),
        (logical("int", "date"), b"-1", date(1969, 12, 31)),
        (logical("int", "time-millis"), b'"23:59:59.999999"', time(23, 59, 59, 999000)),
        (logical("bytes", "decimal", precision=4, scale=2), b'"12.3"', Decimal("12.30")),
        (logical("bytes", "decimal", precision=4, scale=2), b"12.34", Decimal("12.34")),
        (logical("bytes", "decimal", precision=4, scale=2), b'"-0.01"', Decimal("-0.01")),
        (logical("bytes", "decimal", precision=4, scale=0), b'"1E+3"', Decimal(1000)),
        (logical("string", "uuid"), b'"0195F2A0-0000-7000-8000-000000000001"', uuid.UUID("0195f2a0-0000-7000-8000-000000000001")),
    ],
)
def test_logical_types(avro: Any, json: bytes, expected: Any) -> None:
    assert written(field(avro), b'{"f":%b}' % json) == {"f": expected}


@pytest.mark.parametrize(
    ("avro", "json"),
    [
        (logical("long", "timestamp-micros"), b'"2016-12-31T23:59:60Z"'),
        (logical("long", "timestamp-micros"), b'"2026-03-01"'),
        (logical("long", "timestamp-micros"), b'"2026-03-01T07:00:00"'),
        (logical("long", "timestamp-micros"), b"253402300800000000"),
        (logical("long", "timestamp-micros"), b"1.5"),
        (logical("long", "timestamp-micros"), b'"0001-01-01T00:00:00+01:00"'),
        (logical("long", "timestamp-millis"), b'"9999-12-31T23:59:59-01:00"'),
        (logical("int", "date"), b"2932897"),
        (logical("int", "date"), b'"2026-02-30"'),
        (logical("int", "time-millis"), b"86400000"),
        (logical("int", "time-millis"), b"-1"),
        (logical("int", "time-millis"), b'"24:00:00"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"12.345"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"123.45"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"NaN"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"Infinity"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"1E+999999999"'),
        (logical("bytes", "decimal", precision=4, scale=2), b'"twelve"'),
        (logical("string", "uuid"), b'"x"'),
        ("bytes", b'"not base64!"'),
        ("float", b"1e39"),
        ({"type": "fixed", "name": "F", "size": 4}, b'"AAAA"'),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b'"B"'),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"0"),
    ],
)
def test_what_no_type_takes(avro: Any, json: bytes) -> None:
    with pytest.raises(SchemaMismatch) as raised:
        written(field(avro), b'{"f":%b}' % json)
    assert raised.value.path == "/payload/f"
    assert raised.value.message
    with pytest.raises(SchemaMismatch) as raised:
        written(field({"type": "array", "items": avro}), b'{"f":[%b]}' % json)
    assert raised.value.path == "/payload/f/0"


def test_names_are_defined_once_and_used_again() -> None:
    fields = [{"name": "a", "type": {"type": "fixed", "name": "Two", "size": 2}}, {"name": "b", "type": ["null", "Two"]}]
    assert written(fields, b'{"a":"AAE=","b":"AQI="}') == {"a": b"\x00\x01", "b": b"\x01\x02"}


def test_fields_may_have_any_avro_name() -> None:
    fields = [{"name": name, "type": "long"} for name in ("class", "from", "self", "None_", "a_", "type", "asdict", "keys")]
    assert written(fields, msgspec.json.encode({one["name"]: 1 for one in fields})) == {one["name"]: 1 for one in fields}


def test_schemas_that_cannot_be_used() -> None:
    recursive = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}
    with pytest.raises(InvariantBroken, match="recursive"):
        codec_of(field(recursive))
    text = avro_text({"type": "record", "name": "X", "fields": PLAYED})
    bare = WireSchema(revision=1, schema_id=1, event="a.b", version=1, fingerprint="", text=text)
    with pytest.raises(InvariantBroken, match="envelope"):
        Codec(bare)


def test_the_one_that_fastavro_cannot_write_is_found() -> None:
    codec = codec_of(PLAYED)
    codec.check(codec.read(Raw(b'{"track":"t","ms_played":1}')))
    with pytest.raises(SchemaMismatch, match="cannot be encoded"):
        codec.check({"track": object()})


MIXED = ["long", {"type": "array", "items": "string"}, {"type": "map", "values": "long"}]


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": MIXED},
        {"type": "map", "values": MIXED},
        {"type": "record", "name": "R", "fields": [{"name": "k", "type": MIXED}]},
        {"type": "array", "items": ["null", {"type": "array", "items": MIXED}]},
    ],
)
def test_a_union_inside_of_what_may_be_null(kind: Any) -> None:
    codec = codec_of([{"name": "f", "type": ["null", kind]}])
    inner: Any = [3, ["x"], {"k": 4}, []]
    value = inner if kind["type"] == "array" else {"k": {"k": 4}}
    value = [inner, None] if kind.get("items") not in (None, MIXED) else value
    for payload in ({"f": value}, {"f": None}):
        codec.check(codec.read(Raw(msgspec.json.encode(payload))))
