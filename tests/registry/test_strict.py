"""Strict parsing: what both Avro libraries accept and neither lets through wrongly; each refusal with a path, a rule and a fix."""

from __future__ import annotations

import json
import time
from typing import Any

import avro.schema
import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import strict
from registry.compile import canonical
from registry.refusal import Refused
from tests.registry.avro_pairs import JUNK


def record(*fields: Any, **more: Any) -> Any:
    return {"type": "record", "name": "R", "fields": list(fields), **more}


def field(kind: Any, *default: Any, **more: Any) -> Any:
    return record({"name": "a", "type": kind, **({"default": default[0]} if default else {}), **more})


def enum(*symbols: Any, **more: Any) -> Any:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: Any) -> Any:
    return {"type": "fixed", "name": "F", "size": size}


SOUND: list[tuple[str, Any]] = [
    ("a primitive", "int"),
    ("null", "null"),
    ("a union", ["null", "int", {"type": "array", "items": "string"}]),
    ("no fields", record()),
    ("recursion", field(["null", "R"], None)),
    ("recursion through an array", field({"type": "array", "items": "R"}, [])),
    ("mutual recursion", field({"type": "record", "name": "S", "fields": [{"name": "r", "type": ["null", "R"]}]})),
    ("an error", {**record(), "type": "error"}),
    ("names that differ in case", record({"name": "a", "type": "int"}, {"name": "A", "type": "int"})),
    ("underscores", record({"name": "_a", "type": "int"})),
    ("namespaces", field({**enum("A"), "namespace": "y"}, "A", aliases=["b"])),
    ("no namespace within one", {**field({**enum("A"), "namespace": ""}), "namespace": "x"}),
    ("default of any branch", field(["null", "string"], "x")),
    ("default of bytes", field("bytes", "\u00ff")),
    ("default of fixed", field(fixed(2), "ab")),
    ("default of a record", field({"type": "record", "name": "S", "fields": [{"name": "x", "type": "int", "default": 1}]}, {})),
    ("whole number for a double", field("double", 1)),
    ("an unknown logical type", {"type": "string", "logicalType": "colour"}),
    ("attributes of one's own", field({"type": "string", "avro.java.string": "String"}, doc=5)),
    ("decimal", {"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 3}),
]

# (name, schema, path, rule, whether PyPI avro lets it through, whether fastavro does)
REFUSED: list[tuple[str, Any, str, str, bool, bool]] = [
    ("a number", 5, "", "type", False, False),
    ("nothing", None, "", "type", False, False),
    ("an unknown word", "text", "", "unknown_type", False, False),
    ("no type", {"name": "R"}, "/type", "unknown_type", False, False),
    ("a type in a type", {"type": {"type": "string"}}, "/type", "type", False, False),
    ("a keyword without its object", record({"name": "a", "type": "fixed", "size": 2}), "/fields/0/type", "unknown_type", False, False),
    ("a later name", record({"name": "a", "type": "E"}, {"name": "b", "type": enum("A")}), "/fields/0/type", "unknown_type", False, False),
    ("wrong default", field("int", "x"), "/fields/0/default", "default", True, False),
    ("default true for int", field("int", True), "/fields/0/default", "default", True, True),
    ("default 1.0 for int", field("int", 1.0), "/fields/0/default", "default", True, False),
    ("default text for double", field("double", "NaN"), "/fields/0/default", "default", True, True),
    ("int out of range", field("int", 2**31), "/fields/0/default", "default", True, True),
    ("float out of range", field("float", 1e39), "/fields/0/default", "default", True, True),
    ("null for a string", field("string", None), "/fields/0/default", "default", True, False),
    ("default of no branch", field(["null", "int"], "x"), "/fields/0/default", "default", True, False),
    ("default in an array", field({"type": "array", "items": "int"}, ["x"]), "/fields/0/default", "default", True, True),
    ("default in a map", field({"type": "map", "values": "int"}, {"k": "x"}), "/fields/0/default", "default", True, True),
    ("default symbol of a field", field(enum("A"), "B"), "/fields/0/default", "default", True, True),
    ("default bytes beyond a byte", field("bytes", "Ā"), "/fields/0/default", "default", True, True),
    ("default fixed too short", field(fixed(2), "a"), "/fields/0/default", "default", True, True),
    ("default without a field", field({**field("int"), "name": "S"}, {}), "/fields/0/default", "default", True, True),
    ("default of too much", field({**record(), "name": "S"}, {"x": 1}), "/fields/0/default", "default", True, True),
    ("no symbols", enum(), "/symbols", "enum", True, True),
    ("a symbol that is no name", enum("a b"), "/symbols/0", "enum", False, False),
    ("a symbol twice", enum("A", "A"), "/symbols/1", "enum", False, False),
    ("default symbol", enum("A", default="B"), "/default", "default", False, False),
    ("a record that is no name", {**record(), "name": "1x"}, "/name", "name", False, True),
    ("a name with a line end", {**record(), "name": "R\n"}, "/name", "name", True, True),
    ("a name in Greek", {**record(), "name": "Ω"}, "/name", "name", False, True),
    ("an empty step", {**record(), "name": "a..b"}, "/name", "name", False, True),
    ("a bad namespace", record(namespace="1x"), "/namespace", "name", False, True),
    ("named like a type", {**record(), "name": "int"}, "/name", "name_reserved", False, True),
    ("a name twice", ["null", fixed(1), {**enum("A"), "name": "F"}], "/2", "union", False, True),
    ("defined twice", record({"name": "a", "type": fixed(1)}, {"name": "b", "type": fixed(1)}), "/fields/1/type/name", "name_taken",
     False, False),
    ("a field that is no name", record({"name": "a-b", "type": "int"}), "/fields/0/name", "name", True, True),
    ("a field twice", record(*[{"name": "a", "type": "int"}] * 2), "/fields/1/name", "field_name_twice", False, True),
    ("aliases that are no list", record(aliases="x"), "/aliases", "name", True, True),
    ("an order", field("int", order="up"), "/fields/0/order", "field", False, True),
    ("a union in a union", ["int", ["string"]], "/1", "union", False, True),
    ("a type twice", ["int", {"type": "int"}], "/1", "union", False, True),
    ("an empty union", [], "", "union", True, True),
    ("no items", {"type": "array"}, "", "type", False, False),
    ("a size below nothing", fixed(-1), "/size", "fixed", False, True),
    ("a size that is true", fixed(True), "/size", "fixed", True, True),
    ("inside of a library", record(__fastavro_parsed=True), "/__fastavro_parsed", "property_reserved", True, True),
    ("a decimal of nonsense", {"type": "bytes", "logicalType": "decimal", "precision": "x"}, "", "library", True, False),
]  # fmt: skip


def accepts(parse: Any, schema: Any) -> bool:
    try:
        parse(json.loads(json.dumps(schema)))
    except Exception:
        return False
    return True


@pytest.mark.parametrize("schema", [case[1] for case in SOUND], ids=[case[0] for case in SOUND])
def test_sound(schema: Any) -> None:
    found = strict.parse(json.dumps(schema))
    assert found.schema == schema
    # what is written in full is the same schema, for us and for both libraries
    assert canonical(strict.parse(json.dumps(found.full)).full) == canonical(found.full)
    assert accepts(fastavro.parse_schema, found.full)


@pytest.mark.parametrize(
    ("schema", "path", "rule", "avro_lets", "fastavro_lets"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
@pytest.mark.filterwarnings("ignore")  # PyPI avro warns of what we refuse
def test_refused(schema: Any, path: str, rule: str, avro_lets: bool, fastavro_lets: bool) -> None:
    with pytest.raises(Refused) as caught:
        strict.parse(json.dumps(schema))
    assert (caught.value.status, caught.value.code) == (422, "invalid_schema")
    assert (path, rule) in [(p.path, p.rule) for p in caught.value.problems], caught.value.problems
    assert all(p.message and p.fix for p in caught.value.problems)
    # the holes of the libraries are as we believe
    assert (accepts(avro.schema.make_avsc_object, schema), accepts(fastavro.parse_schema, schema)) == (avro_lets, fastavro_lets)


@pytest.mark.parametrize(
    "text", ["", "this", "{", "{}", '{"type": "int", "type": "int"}', '{"type": NaN}', "\ud800", "[" * 100_000, '"x" "y"']
)
def test_no_schema(text: str) -> None:
    with pytest.raises(Refused) as caught:
        strict.parse(text)
    assert caught.value.problems[0].fix


def test_inherited_and_explicit_namespaces_are_one() -> None:
    inherited = record({"name": "a", "type": enum("A")}, {"name": "b", "type": "E"}, namespace="x", aliases=["Q"])
    explicit = record({"name": "a", "type": {**enum("A"), "name": "x.E"}}, {"name": "b", "type": "x.E"}, name="x.R", aliases=["x.Q"])
    assert canonical(strict.parse(inherited).full) == canonical(strict.parse(explicit).full)
    assert strict.parse({"type": "string"}).full == "string"


def test_references() -> None:
    point = json.dumps({**record({"name": "x", "type": "int"}), "name": "P", "namespace": "geo"})
    line = json.dumps({**record({"name": "from", "type": "geo.P"}, {"name": "to", "type": "geo.P"}), "name": "geo.L"})
    found = strict.parse(field({"type": "array", "items": "geo.L"}), [point, line, point])
    assert {"geo.P", "geo.L", "R"} == found.types.keys()
    assert found.steps.keys() == {"R"}
    for schema, references in ((field("geo.P"), []), (field("geo.P"), [line]), (json.loads(point), [point])):
        with pytest.raises(Refused):
            strict.parse(schema, references)


def test_hostile_texts_end() -> None:
    nested: Any = "int"
    for _ in range(70):
        nested = {"type": "array", "items": nested}
    wide = {**record(*[{"name": f"f{n}", "type": "int", "default": 0} for n in range(1000)]), "name": "S"}
    for schema in (
        json.dumps(nested),
        '["' + "x" * 5_000_000 + '"]',
        json.dumps(record(*[{"name": f"f{n}", "type": "int"} for n in range(20_000)])),
        json.dumps([{"type": "fixed", "name": f"F{n}", "size": 1} for n in range(21_000)]),
        json.dumps(field({"type": "array", "items": wide}, [{}] * 40_000)),
    ):
        started = time.monotonic()
        with pytest.raises(Refused):
            strict.parse(schema)
        assert time.monotonic() - started < 60  # well below a second; what matters is that it ends


@settings(max_examples=200, deadline=None)
@given(JUNK, st.lists(JUNK, max_size=2))
def test_junk_is_refused_or_sound(schema: Any, references: list[Any]) -> None:
    try:
        found = strict.parse(schema, references)
    except Refused:
        return
    assert accepts(fastavro.parse_schema, found.full) or references
