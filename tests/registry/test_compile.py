"""Wire schemas: the envelope first, names complete, equal input gives equal output, and the codec takes what comes out."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from hourmark.event import ENVELOPE, ID_END, ID_START, frame
from registry.compile import fingerprint, wire_schema
from registry.declaration import check
from tests.registry.documents import declaration, payload

ENVELOPE_VALUES: dict[str, Any] = {
    "_event_id": bytes(range(16)),
    "_event_time": 1,
    "_sent_at": 2,
    "_received_at": 3,
    "_sdk": "s",
    "_sdk_version": "1",
    "_app": "a",
    "_attempt": 1,
}


def test_the_envelope_comes_first() -> None:
    wire = wire_schema("player.song_played", payload(("track", "string"), ("n", "long", 0)))
    assert (wire["namespace"], wire["name"]) == ("hourmark.events.player", "song_played")
    assert [f["name"] for f in wire["fields"]] == [*(f["name"] for f in ENVELOPE), "track", "n"]
    out = io.BytesIO(frame(7))
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(wire), {**ENVELOPE_VALUES, "track": "x"})
    assert out.getvalue()[ID_START:ID_END] == bytes(range(16))


def test_the_envelope_is_never_changed_by_a_codec() -> None:
    fastavro.parse_schema(wire_schema("a.b", payload()))
    assert wire_schema("a.b", payload()) == wire_schema("a.b", payload())
    assert "__fastavro_parsed__" not in json.dumps(list(ENVELOPE))


def test_inner_names_are_complete() -> None:
    inner = {"type": "record", "name": "song_played", "fields": [{"name": "x", "type": {"type": "fixed", "name": "EventId", "size": 2}}]}
    other = {"type": "enum", "name": "com.x.E", "symbols": ["A"]}
    wire = wire_schema("player.song_played", payload(("a", inner), ("b", ["null", "song_played"], None), ("c", other), ("d", "com.x.E")))
    fields = {f["name"]: f["type"] for f in wire["fields"]}
    assert (fields["a"]["namespace"], fields["a"]["name"]) == ("hourmark.events.player.song_played", "song_played")
    assert fields["b"] == ["null", "hourmark.events.player.song_played.song_played"]
    assert (fields["c"]["namespace"], fields["d"]) == ("com.x", "com.x.E")
    fastavro.parse_schema(wire)


NAMES = st.text("abcdefgh", min_size=1, max_size=4)
TYPES = st.recursive(
    st.sampled_from(["string", "int", "long", "double", "boolean", "bytes"]),
    lambda inner: st.one_of(
        st.builds(lambda t: {"type": "array", "items": t}, inner),
        st.builds(lambda t: {"type": "map", "values": t}, inner),
        st.builds(
            lambda name, fields: {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]},
            NAMES,
            st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, TYPES, min_size=1, max_size=4), st.sampled_from(["", "com.example"]))
def test_what_is_safe_compiles_to_the_same_every_time(fields: dict[str, Any], space: str) -> None:
    schema = payload(*fields.items(), **({"namespace": space} if space else {}))
    if check(declaration(schema=schema)):
        return  # a name was drawn twice
    before = json.dumps(schema)
    wire = wire_schema("player.song_played", schema)
    assert json.dumps(schema) == before
    assert fingerprint(wire) == fingerprint(wire_schema("player.song_played", json.loads(before)))
    assert fingerprint(wire) == fingerprint(json.loads(json.dumps(wire, sort_keys=True)))
    fastavro.parse_schema(wire)
