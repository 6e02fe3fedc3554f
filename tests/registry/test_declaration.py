"""Every malformed declaration has its answer: a path, a rule and a fix."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.declaration import Declaration, check, load_file, read, span_ms
from registry.refusal import Refused
from tests.registry.documents import declaration, payload

DEEP: Any = "string"
for _ in range(30):
    DEEP = {"type": "array", "items": DEEP}
VERY_DEEP: Any = []
for _ in range(50_000):
    VERY_DEEP = [VERY_DEEP]
RECORD = {"type": "record", "name": "Inner", "fields": [{"name": "a", "type": "int"}]}
LOOP = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
WIDE: list[Any] = [("l0", {"type": "record", "name": "L0", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}]})]
WIDE += [
    (f"l{n}", {"type": "record", "name": f"L{n}", "fields": [{"name": "x", "type": f"L{n - 1}"}, {"name": "y", "type": f"L{n - 1}"}]})
    for n in range(1, 18)
]


def field(kind: Any, *default: Any) -> dict[str, Any]:
    return declaration(schema=payload(("a", kind, *default)))


MALFORMED: list[tuple[str, Any, str, str]] = [
    ("no object", [], "", "value"),
    ("text", "x", "", "value"),
    ("nothing", None, "", "value"),
    ("no owner", {k: v for k, v in declaration().items() if k != "owner"}, "/owner", "missing"),
    ("no schema", {k: v for k, v in declaration().items() if k != "schema"}, "/schema", "missing"),
    ("unknown field", declaration(ownr="x"), "/ownr", "unknown_field"),
    ("unknown nested field", declaration(retention={"row": "1h"}), "/retention/row", "unknown_field"),
    ("name without dot", declaration("player"), "/event", "event_name"),
    ("name in upper case", declaration("Player.played"), "/event", "event_name"),
    ("name with line end", declaration("player.played\n"), "/event", "event_name"),
    ("name too long", declaration("a." + "b" * 99), "/event", "event_name"),
    ("name with slash", declaration("a.b/../c"), "/event", "event_name"),
    ("description with NUL", declaration(description="a\0b"), "/description", "text"),
    ("description with an escape", declaration(description="a\x1b[31mb"), "/description", "text"),
    ("owner with space", declaration(owner="a b"), "/owner", "word"),
    ("owner no text", declaration(owner=5), "/owner", "value"),
    ("tier", declaration(tier="gold"), "/tier", "value"),
    ("lifecycle", declaration(lifecycle="dead"), "/lifecycle", "value"),
    ("span", declaration(retention={"raw": "3 days"}), "/retention/raw", "span"),
    ("span of nothing", declaration(retention={"raw": "0h"}), "/retention/raw", "span"),
    ("no partitions", declaration(partitions=0), "/partitions", "value"),
    ("too many partitions", declaration(partitions=5000), "/partitions", "value"),
    ("partitions as text", declaration(partitions="4"), "/partitions", "value"),
    ("partitions as bool", declaration(partitions=True), "/partitions", "value"),
    ("no sdks", declaration(sdks=[]), "/sdks", "value"),
    ("dedup", declaration(dedup="maybe"), "/dedup", "value"),
    ("key absent", declaration(key="nope"), "/key", "key_field"),
    ("key nullable", declaration(key="a", schema=payload(("a", ["null", "string"], None))), "/key", "key_type"),
    ("key a record", declaration(key="a", schema=payload(("a", RECORD))), "/key", "key_type"),
    ("key a date", declaration(key="a", schema=payload(("a", {"type": "int", "logicalType": "date"}))), "/key", "key_type"),
    ("privacy subject", declaration(privacy={"subject": "nope"}), "/privacy/subject", "privacy_field"),
    ("privacy field", declaration(privacy={"fields": {"nope": {"as": "encrypt"}}}), "/privacy/fields/nope", "privacy_field"),
    ("privacy way", declaration(privacy={"fields": {"track": {"as": "hide"}}}), "/privacy/fields/track/as", "value"),
    ("surrogate", declaration(description="\ud800"), "/description", "unicode"),
    ("surrogate key", {**declaration(), "\ud800": 1}, "", "unicode"),
    ("not finite", declaration(description=float("nan")), "/description", "number_range"),
    ("too large a number", declaration(partitions=2**70), "/partitions", "number_range"),
    ("key no text", {**declaration(), 5: 1}, "", "key_type"),
    ("a date of YAML", declaration(description=date(2026, 1, 1)), "/description", "value_type"),
    ("endless depth", declaration(schema=VERY_DEEP), "/schema" + "/0" * 7, "too_deep"),
    ("schema a path", declaration(schema="./x.avsc"), "/schema", "record"),
    ("schema a list", declaration(schema=[]), "/schema", "record"),
    ("schema an enum", declaration(schema={"type": "enum", "name": "E", "symbols": ["A"]}), "/schema", "record"),
    ("empty record", declaration(schema={"type": "record", "name": "P", "fields": []}), "/schema/fields", "empty_record"),
    ("no name", declaration(schema={"type": "record", "fields": [{"name": "a", "type": "int"}]}), "/schema/name", "name"),
    ("bad name", declaration(schema=payload() | {"name": "1x"}), "/schema/name", "name"),
    ("bad namespace", declaration(schema=payload(namespace="a..b")), "/schema/namespace", "name"),
    ("our namespace", declaration(schema=payload(namespace="hourmark.x")), "/schema/name", "name_reserved"),
    ("named like a type", declaration(schema=payload() | {"name": "string"}), "/schema/name", "name_reserved"),
    ("empty inner record", field({"type": "record", "name": "I", "fields": []}), "/schema/fields/0/type/fields", "empty_record"),
    ("field no object", declaration(schema=payload() | {"fields": [5]}), "/schema/fields/0", "field"),
    ("field without type", declaration(schema=payload() | {"fields": [{"name": "a"}]}), "/schema/fields/0", "field"),
    ("underscore", declaration(schema=payload(("_a", "int"))), "/schema/fields/0/name", "field_underscore"),
    ("case", declaration(schema=payload(("userId", "int"), ("userid", "int"))), "/schema/fields/1/name", "field_name_twice"),
    ("name with dash", declaration(schema=payload(("a-b", "int"))), "/schema/fields/0/name", "name"),
    ("name with line end", declaration(schema=payload(("a\n", "int"))), "/schema/fields/0/name", "name"),
    ("name in Greek", declaration(schema=payload(("αβγ", "int"))), "/schema/fields/0/name", "name"),
    ("unknown type", field("text"), "/schema/fields/0/type", "unknown_type"),
    ("unknown type object", field({"type": "text"}), "/schema/fields/0/type/type", "unknown_type"),
    ("type in type", field({"type": {"type": "string"}}), "/schema/fields/0/type/type", "type"),
    ("type a number", field(5), "/schema/fields/0/type", "type"),
    ("type nothing", field(None), "/schema/fields/0/type", "type"),
    ("null", field("null"), "/schema/fields/0/type", "null_alone"),
    ("empty union", field([]), "/schema/fields/0/type", "union"),
    ("union of null", field(["null"]), "/schema/fields/0/type", "union"),
    ("union twice", field(["string", {"type": "string"}]), "/schema/fields/0/type/1", "union"),
    ("union in union", field(["null", ["int"]]), "/schema/fields/0/type/1", "union"),
    ("recursion", field(LOOP), "/schema/fields/0/type/fields/0/type/1", "recursion"),
    ("itself", field("Payload"), "/schema/fields/0/type", "recursion"),
    ("defined twice", declaration(schema=payload(("a", RECORD), ("b", RECORD))), "/schema/fields/1/type/name", "name_taken"),
    ("array of nothing", field({"type": "array"}), "/schema/fields/0/type", "type"),
    ("map of nothing", field({"type": "map"}), "/schema/fields/0/type", "type"),
    ("enum empty", field({"type": "enum", "name": "E", "symbols": []}), "/schema/fields/0/type/symbols", "enum"),
    ("enum symbol", field({"type": "enum", "name": "E", "symbols": ["a b"]}), "/schema/fields/0/type/symbols/0", "enum"),
    ("enum twice", field({"type": "enum", "name": "E", "symbols": ["A", "A"]}), "/schema/fields/0/type/symbols/1", "enum"),
    ("enum default", field({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}), "/schema/fields/0/type/default", "default"),
    ("fixed", field({"type": "fixed", "name": "F", "size": 0}), "/schema/fields/0/type/size", "fixed"),
    ("decimal", field({"type": "bytes", "logicalType": "decimal", "precision": 39}), "/schema/fields/0/type/precision", "decimal"),
    (
        "decimal scale",
        field({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 4}),
        "/schema/fields/0/type/scale",
        "decimal",
    ),
    (
        "decimal size",
        field({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 9}),
        "/schema/fields/0/type/size",
        "decimal",
    ),
    ("logical on wrong base", field({"type": "string", "logicalType": "date"}), "/schema/fields/0/type/logicalType", "logical_type"),
    ("logical no text", field({"type": "string", "logicalType": []}), "/schema/fields/0/type/logicalType", "logical_type"),
    ("too deep", field(DEEP), "/schema/fields/0/type" + "/items" * 5, "too_deep"),
    ("too wide by names", declaration(schema=payload(*WIDE)), "/schema", "too_many_columns"),
    ("default of other type", field("int", "x"), "/schema/fields/0/default", "default"),
    ("default out of range", field("int", 2**31), "/schema/fields/0/default", "default"),
    ("default bool for int", field("int", True), "/schema/fields/0/default", "default"),
    ("default of second branch", field(["null", "string"], "x"), "/schema/fields/0/default", "default"),
    ("default bytes", field("bytes", "x"), "/schema/fields/0/default", "default"),
    ("default uuid", field({"type": "string", "logicalType": "uuid"}, "x"), "/schema/fields/0/default", "default"),
    ("default in array", field({"type": "array", "items": "int"}, [1, "x"]), "/schema/fields/0/default", "default"),
    ("default record", field(RECORD, {}), "/schema/fields/0/default", "default"),
    ("default symbol", field({"type": "enum", "name": "E", "symbols": ["A"]}, "B"), "/schema/fields/0/default", "default"),
]


@pytest.mark.parametrize(("document", "path", "rule"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed(document: Any, path: str, rule: str) -> None:
    problems = check(document)
    assert (path, rule) in [(p.path, p.rule) for p in problems], problems
    assert all(p.message and p.fix for p in problems)
    with pytest.raises(Refused) as caught:
        read(document)
    assert caught.value.status == 400
    assert caught.value.code == "invalid_declaration"


TIMES = payload(("a", {"type": "long", "logicalType": "timestamp-micros"}, 5), ("b", {"type": "int", "logicalType": "time-millis"}))
SPANS = {"raw": "72h", "clean": "90m", "lake": "400d"}
SOUND: list[tuple[str, Any]] = [
    ("smallest", {"event": "a.b", "owner": "me", "schema": payload()}),
    ("all fields", declaration(key="track", sdks=["web"], retention=SPANS, partitions=3, audit="hold", dedup="open", lifecycle="draft")),
    ("privacy", declaration(privacy={"subject": "track", "fields": {"track": {"as": "pseudonym", "join": "analytics"}}})),
    ("unions", field(["null", "string", "long", RECORD], None)),
    ("logical types", declaration(schema=TIMES)),
    ("unknown logical type", field({"type": "long", "logicalType": "timestamp-nanos"})),
    ("named type twice", declaration(schema=payload(("a", RECORD), ("b", "Inner"), ("c", {"type": "array", "items": "Inner"})))),
    ("named like the event", declaration("a.inner", schema=payload(("a", RECORD | {"name": "inner"})))),
    ("uuid key", declaration(key="a", schema=payload(("a", {"type": "string", "logicalType": "uuid"})))),
    ("default of a named type", declaration(schema=payload(("a", RECORD), ("b", "Inner", {"a": 1})))),
    ("map", field({"type": "map", "values": ["null", "double"]}, {})),
    ("decimal", field({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2})),
    ("namespace", declaration(schema=payload(("a", RECORD), namespace="com.example"))),
]


@pytest.mark.parametrize("document", [case[1] for case in SOUND], ids=[case[0] for case in SOUND])
def test_sound(document: Any) -> None:
    assert check(document) == []
    found = read(document)
    assert read(found.document()) == found
    assert Declaration.model_validate(found.document()) == found


@pytest.mark.parametrize("document", [[], "x", None, 5])
def test_a_declaration_is_a_mapping(document: Any) -> None:
    assert [problem.message for problem in check(document)] == ["a declaration is a mapping of names to values"]


def test_all_problems_at_once() -> None:
    problems = check(declaration(tier="x", ownr=1, schema=payload(("_a", "text"))))
    assert {p.path for p in problems} == {"/tier", "/ownr", "/schema/fields/0/name", "/schema/fields/0/type"}


_WORDS = [
    "type",
    "name",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "default",
    "namespace",
    "logicalType",
    "precision",
    "scale",
    "aliases",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
AVRO = st.recursive(
    st.sampled_from(["string", "int", "null", "bytes", "R", "x", ""]) | JSON,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["record", "enum", "fixed", "array", "map", "string", "bytes"])},
            optional={
                "name": st.sampled_from(["R", "S", "a.b", 5]),
                "namespace": JSON,
                "fields": st.lists(
                    st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"type": inner, "default": JSON}), max_size=3
                ),
                "items": inner,
                "values": inner,
                "symbols": st.lists(st.sampled_from(["A", "B", 5]), max_size=3) | JSON,
                "size": st.integers() | JSON,
                "logicalType": st.sampled_from(["decimal", "date", "uuid", "x"]) | JSON,
                "precision": st.integers(),
                "scale": st.integers(),
                "default": JSON,
            },
        ),
    ),
    max_leaves=12,
)


@given(JSON)
def test_never_raises_on_any_json(document: Any) -> None:
    assert check(document)


@given(AVRO, JSON)
def test_never_raises_on_anything_like_a_schema(kind: Any, more: Any) -> None:
    found = check(declaration(schema={"type": "record", "name": "P", "fields": [{"name": "a", "type": kind}]}))
    assert all(p.path.startswith("/schema") for p in found)
    check(declaration(schema=more, privacy=more))


def test_span() -> None:
    assert [span_ms(t) for t in ("90m", "72h", "400d")] == [5_400_000, 259_200_000, 34_560_000_000]
    with pytest.raises(ValueError, match="72h"):
        span_ms("72")


def test_retention_falls_back_to_the_tier() -> None:
    assert read(declaration(tier="critical")).retention_ms() == (168 * 3_600_000, 336 * 3_600_000)
    assert read(declaration(retention={"raw": "1h"})).retention_ms() == (3_600_000, 72 * 3_600_000)


def test_file_with_schema_beside_it(tmp_path: Path) -> None:
    (tmp_path / "song.avsc").write_text(json.dumps(payload()))
    (tmp_path / "song.yaml").write_text("event: player.song_played\nowner: me\nschema: ./song.avsc\n")
    assert check(load_file(tmp_path / "song.yaml")) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [("event: a.b\nschema: ./nope.avsc\n", "/schema"), ("- 1\n", ""), ("a: [\n", ""), ("a: 1\na: 2\n", ""), ("a: &x [1]\nb: *x\n", "")],
)
def test_file_that_is_none(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "song.yaml").write_text(text)
    with pytest.raises(Refused) as caught:
        load_file(tmp_path / "song.yaml")
    assert caught.value.problems[0].path == path
    assert caught.value.problems[0].fix


def test_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        load_file(tmp_path / "nope.yaml")
