"""`hourmark events new`: what it writes passes `check` at once, and the receiver takes the samples it was made from."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.workflow import new
from cli.workflow.infer import infer
from hourmark.schemas import WireSchema, avro_text
from receiver.codec import Codec
from registry.compile import wire_schema
from registry.declaration import check
from tests.cli.conftest import Command

UUID = "0195a0e2-7b1c-7c3e-9f5e-000000000001"
SAMPLE = {
    "user_id": UUID,
    "track": "x",
    "ms": 31000,
    "at": "2026-03-01T07:00:00.123Z",
    "day": "2026-03-01",
    "price": 1.5,
    "none": None,
    "tags": ["a", None],
    "contact": {"email": "a@example.org", "kind": "home"},
    "items": [{"sku": "1", "qty": 1}, {"sku": "2", "qty": 2.5, "note": "x"}],
    "by_day": {"2026-01-01": 3, "2026-01-02": None},
    "empty": {},
    "mixed": [1, "a", {"b": 1}],
    "flag": True,
}


def taken(schema: dict[str, Any], *samples: dict[str, Any]) -> None:
    """Raises SchemaMismatch unless the receiver takes these payloads."""
    text = avro_text(wire_schema("a.b", schema))
    codec = Codec(WireSchema(revision=1, schema_id=1, event="a.b", version=1, fingerprint="", text=text))
    for sample in samples:
        codec.check(codec.read(msgspec.Raw(json.dumps(sample).encode())))


def types(*samples: dict[str, Any], enums: tuple[str, ...] = ()) -> dict[str, Any]:
    found = infer(samples, "X", enums)
    return {field["name"]: field["type"] for field in found.schema["fields"]}


TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-micros"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], "long"),
        ([1, 2.5], "double"),
        ([1, None], ["null", "long"]),
        ([None], ["null", "string"]),
        ([True], "boolean"),
        (["x", ""], "string"),
        ([UUID], {"type": "string", "logicalType": "uuid"}),
        ([UUID, "x"], "string"),
        (["2026-03-01"], {"type": "int", "logicalType": "date"}),
        (["2026-02-30"], "string"),
        (["2026-03-01T07:00:00Z", "2026-03-01T07:00:00.5+01:00"], TIMESTAMP),
        (["2026-03-01T07:00:00"], LOCAL),
        (["2026-03-01T07:00:00", "2026-03-01T07:00:00Z"], "string"),
        ([[]], {"type": "array", "items": "string"}),
        ([[1], [2.5]], {"type": "array", "items": "double"}),
        ([[[1]], [[]]], {"type": "array", "items": {"type": "array", "items": "long"}}),
        ([{}], {"type": "map", "values": "string"}),
        ([{"1": 1, "2": 2}], {"type": "map", "values": "long"}),
        ([1, "x"], ["long", "string"]),
        ([1, "2026-03-01T07:00:00Z"], ["long", "string"]),
        ([2**63], "double"),
    ],
)
def test_types(values: list[Any], expected: Any) -> None:
    samples = [{"f": value} for value in values]
    assert types(*samples)["f"] == expected
    taken(infer(samples, "X").schema, *samples)


def test_a_field_that_is_not_always_there_may_be_missing() -> None:
    samples = [{"a": 1, "in": {"x": 1}}, {"in": {"x": 1, "y": "z"}}, {"a": 2, "in": {"x": 1}}]
    found = types(*samples)
    assert found["a"] == ["null", "long"]
    assert found["in"]["fields"][1] == {"name": "y", "type": ["null", "string"], "default": None}
    taken(infer(samples, "X").schema, *samples)


def test_names_of_inner_records_are_given_once() -> None:
    sample = {"item": {"x": 1}, "other": {"item": {"y": 1}}, "items": [{"z": 1}]}
    found = infer([sample], "Item")
    names = re.findall(r'"type": "record", "name": "(\w+)"', json.dumps(found.schema))
    assert len(names) == len(set(names)) == 5
    assert check({"event": "a.b", "owner": "me", "schema": found.schema}) == []


def test_keys_that_are_no_names_are_renamed_and_told() -> None:
    found = infer([{"user-agent": 1, "_v": 1, "9x": 1, "a b": 1, "a-b": 1, "A_B": 1, "é": 1, "in": {"x-y": 1, "z": 1}}], "X")
    assert found.renamed == {
        "user-agent": "user_agent",
        "_v": "v",
        "9x": "n9x",
        "a b": "a_b",
        "a-b": "a_b_2",
        "A_B": "A_B_3",
        "é": "n",
        "in.x-y": "x_y",
    }
    assert check({"event": "a.b", "owner": "me", "schema": found.schema}) == []


def test_enums_only_when_asked() -> None:
    samples = [{"kind": "a", "in": {"kind": "b"}}, {"kind": "c", "in": {"kind": "b"}}]
    found = types(*samples, enums=("kind",))
    assert found["kind"] == {"type": "enum", "name": "Kind", "symbols": ["a", "c"]}
    assert found["in"]["fields"][0]["type"] == "string"
    for wrong in ("no.such", "in"):
        with pytest.raises(ValueError, match="enum"):
            infer(samples, "X", (wrong,))
    with pytest.raises(ValueError, match="no Avro name"):
        infer([{"kind": "a b"}], "X", ("kind",))


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,4}", fullmatch=True)
FORMS = st.sampled_from([UUID, "2026-03-01", "2026-03-01T07:00:00Z", "2026-03-01T07:00:00"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | FORMS
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
KEYS = NAMES | st.text("0123456789-", min_size=1, max_size=3)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_whatever_the_samples_the_schema_is_sound_and_takes_them(samples: list[dict[str, Any]]) -> None:
    found = infer(samples, "X")
    assert [p for p in check({"event": "a.b", "owner": "me", "schema": found.schema}) if p.rule != "personal_data"] == []
    if not found.renamed:
        taken(found.schema, *samples)


def test_from_a_sample(command: Command, tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_text(json.dumps(SAMPLE, indent=1))
    said = command("events", "new", "song.liked", "--from", "sample.json", "--in", "events", "--enum", "contact.kind")
    assert said.code == 0, said.err
    assert "next:" in said.out
    assert command("check", "events").code == 0
    schema = json.loads((tmp_path / "events" / "song.liked.avsc").read_text())
    taken(schema, SAMPLE)
    yaml = (tmp_path / "events" / "song.liked.yaml").read_text()
    assert "user_id: {as: pseudonym}" in yaml
    assert '"contact.email": {as: encrypt}' in yaml
    assert command("events", "new", "song.liked", "--in", "events").code == 2


def test_from_lines_and_lists_and_stdin(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2.5, "b": "x"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    said = command("events", "new", "a.lines", "--from", "-", "--json")
    fields = json.loads(said.out)["schema"]["fields"]
    assert [field["type"] for field in fields] == ["double", ["null", "string"]]
    (tmp_path / "list.json").write_text('[{"a": 1}, {"a": 2.5, "b": "x"}]')
    assert json.loads(command("events", "new", "a.list", "--from", "list.json", "--json").out)["schema"]["fields"] == fields


def test_from_nothing_passes_at_once(command: Command, tmp_path: Path) -> None:
    assert command("events", "new", "song.liked").code == 0
    assert command("check").code == 0
    taken(json.loads((tmp_path / "song.liked.avsc").read_text()), {"thing": "x", "began_at": "2026-03-01T07:00:00Z"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no sample"),
        (b"[]", "no fields"),
        (b"{}", "no fields"),
        (b"3", "one JSON object"),
        (b'[{"a": 1}, 3]', "item 2"),
        (b'{"a": 1}\n{"a": \n', "line 2"),
        (b'{"a": NaN}', "no JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"\xff\xfe", "no JSON"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "deep"),
        (json.dumps({f"f{n}": 1 for n in range(2100)}).encode(), "columns"),
    ],
)
def test_samples_that_give_nothing(command: Command, tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "sample.json").write_bytes(body)
    said = command("events", "new", "a.thing", "--from", "sample.json")
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.json"]


@pytest.mark.parametrize("name", ["SongPlayed", "song", "a.b.", "../x.y", "9.x", "ÄÖ", "a" * 200 + ".b"])
def test_a_bad_name_gets_a_better_one(command: Command, name: str) -> None:
    said = command("events", "new", name)
    assert said.code == 2
    better = said.err.rsplit("try ", 1)[1].strip()
    assert command("events", "new", better).code == 0


def test_places_where_nothing_can_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert command("events", "new", "a.b", "--in", "file").code == 2
    (tmp_path / "a.b.yaml").symlink_to("nowhere")
    assert command("events", "new", "a.b").code == 2
    assert command("events", "new", "a.c", "--enum", "x").code == 2
    assert command("events", "new", "a.c", "--from", "missing.json").code == 2
    assert command("events", "new", "a.c", "--owner", "[x]").code == 2


def test_one_field_a_line() -> None:
    fields = [{"name": "a", "type": "long"}, {"name": "b", "type": "long"}]
    text = new.avsc_text({"type": "record", "name": "X", "fields": fields})
    assert [json.loads(line.rstrip(",")) for line in text.splitlines()[4:6]] == fields
