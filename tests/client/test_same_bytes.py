"""Both ways give the same bytes: the client's Kafka transport against the receiver's own reading of the same JSON."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hourmark.errors import SchemaMismatch
from hourmark_client.avro import Mismatch, WireEncoder
from hourmark_client.envelope import SentBlock
from hourmark_client.notices import Held
from hourmark_client.transport import Sender
from receiver.payload import PayloadReader

from .schemas import EVERYTHING, wire_schema
from .test_avro import GOOD

ID = "01950000-0000-7000-8000-000000000001"
PARSED: Any = fastavro.parse_schema({"type": "record", "name": "thing", "namespace": "hourmark.events.a", "fields": EVERYTHING})
RECEIVER = PayloadReader("thing", PARSED["fields"])
CLIENT = WireEncoder(wire_schema("a.thing", EVERYTHING), 7)

_numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, 1, 2**31, -1, 0.5])
_texts = st.text(max_size=5) | st.sampled_from(
    [
        "RED",
        "YWJjZA==",
        "AP8=",
        "12.30",
        "1E+3",
        "-0.001",
        "999999.99",
        "NaN",
        "2026-03-01",
        "07:00:00.1234567",
        "2026-03-01T07:00:00Z",
        "2026-03-01T07:00:00.1234567+02:00",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-03-01T07:00:00",
        "00000000-0000-0000-0000-00000000000A",
    ]
)
_anything = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class", "deep", "n", "a"]), inner, max_size=3),
    max_leaves=5,
)
_changes = st.dictionaries(st.sampled_from([*GOOD, "unknown"]), _anything, max_size=3)


def by_receiver(raw: bytes) -> bytes | str:
    """The payload's bytes, or the path of the fault."""
    try:
        record = RECEIVER.read(msgspec.Raw(raw))
    except SchemaMismatch as exc:
        return str(exc.path)
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema({"type": "record", "name": "thing", "fields": RECEIVER.fields}), record)
    return out.getvalue()


def by_client(raw: bytes) -> bytes | str:
    def encode(payload: bytes) -> bytes:
        return CLIENT.encode(Held("a.thing", ID, 0, payload, 0), SentBlock(Sender("", ""), 0))[1]

    try:
        value = encode(raw)
    except Mismatch as exc:
        return exc.path
    envelope = len(encode(BASE)) - len(by_receiver(BASE))
    return value[envelope:]


BASE = msgspec.json.encode(GOOD)


@settings(max_examples=150, deadline=None)
@given(_changes, st.sets(st.sampled_from(list(GOOD)), max_size=2))
def test_the_same_bytes_or_the_same_fault(changes: dict[str, Any], missing: set[str]) -> None:
    payload = {name: value for name, value in {**GOOD, **changes}.items() if name not in missing}
    raw = msgspec.json.encode(payload)
    assert by_client(raw) == by_receiver(raw)
