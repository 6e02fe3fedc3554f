"""Whatever body is sent to the registry, the answer is a clear 4xx: a code, where it is wrong, and what to do."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.declaration import Declaration
from registry.document import MAX_BYTES
from tests.registry.documents import declaration, payload
from tests.registry.hostile import EVENT, JSON, KNOWN, SQL, YAML, Hostile, path_of

GZIP = JSON | {"Content-Encoding": "gzip"}
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c]\n" % ((n, n) + (n - 1,) * 4) for n in range(98, 120))

MALFORMED: list[tuple[str, bytes, dict[str, str]]] = [
    ("nothing", b"", JSON),
    ("cut", json.dumps(declaration("a.b")).encode()[:-1], JSON),
    ("two documents", b"{}{}", JSON),
    ("a key twice", b'{"owner":"a","owner":"b"}', JSON),
    ("a key twice, deep", b'{"schema":{"fields":[{"name":"a","name":"b"}]}}', JSON),
    ("a key twice, the last of 80,000", b"{" + b",".join(b'"k%d":1' % n for n in range(80_000)) + b',"k79999":2}', JSON),
    ("NaN", b'{"partitions":NaN}', JSON),
    ("infinity", b'{"partitions":-Infinity}', JSON),
    ("a number of 5,000 digits", b'{"partitions":' + b"9" * 5000 + b"}", JSON),
    ("no UTF-8", b'{"owner":"\xff"}', JSON),
    ("UTF-16", '{"owner":"a"}'.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}),
    ("endless lists", b"[" * 500_000, JSON),
    ("endless objects", b'{"a":' * 150_000, JSON),
    ("YAML bomb", BOMB, YAML),
    ("YAML cycle", b"a: &a [*a]", YAML),
    ("YAML merge", b"a: &a {b: 1}\nc: {<<: *a}", YAML),
    ("YAML object", b"!!python/object/apply:os.system [id]", YAML),
    ("YAML of two documents", b"--- {}\n--- {}\n", YAML),
    ("YAML with a tab", b"a:\n\t- b", YAML),
    ("YAML with NUL", b"a: \x00", YAML),
    ("no gzip", b"{}", GZIP),
]


@pytest.mark.parametrize(("body", "headers"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed(hostile: Hostile, body: bytes, headers: dict[str, str]) -> None:
    hostile.refused(hostile.ask("PUT", EVENT, body, headers), 400, "malformed_body", "")
    hostile.refused(hostile.ask("POST", f"{EVENT}/check", body, headers), 400, "malformed_body", "")


LARGE = json.dumps(declaration("a.b", schema=payload(*((f"f{n}", "string") for n in range(150_000))))).encode()
TOO_MUCH: list[tuple[str, bytes, dict[str, str]]] = [("5 MB of schema", LARGE, JSON), ("a bomb", gzip.compress(b" " * 50_000_000), GZIP)]


@pytest.mark.parametrize(("body", "headers"), [case[1:] for case in TOO_MUCH], ids=[case[0] for case in TOO_MUCH])
def test_too_much(hostile: Hostile, body: bytes, headers: dict[str, str]) -> None:
    assert len(LARGE) > 5 * MAX_BYTES
    hostile.refused(hostile.ask("PUT", EVENT, body, headers), 413, "body_too_large", "")
    hostile.refused(hostile.ask("POST", f"{EVENT}/check", body, headers), 413, "body_too_large", "")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";;;", "x"])
def test_bodies_of_other_kinds(hostile: Hostile, kind: str) -> None:
    said = hostile.ask("PUT", EVENT, b"{}", {"Content-Type": kind})
    hostile.refused(said, 415, "unsupported_media_type", "Content-Type")


def field(kind: Any, **more: Any) -> Any:
    return declaration("a.b", schema={"type": "record", "name": "P", "fields": [{"name": "a", "type": kind, **more}]})


def record(name: str, kind: Any) -> Any:
    return {"type": "record", "name": name, "fields": [{"name": "a", "type": kind}]}


def nested(levels: int) -> Any:
    kind: Any = "string"
    for number in range(levels):
        kind = record(f"R{number}", kind)
    return kind


FIRST = "/schema/fields/0"
UNSOUND: list[tuple[str, Any, str]] = [
    ("a list", b"[]", ""),
    ("text", b'"a"', ""),
    ("a number out of floats", b'{"partitions":1e999}', "/partitions"),
    ("a huge number", b'{"partitions":' + b"9" * 4000 + b"}", "/partitions"),
    ("half a surrogate", b'{"owner":"\\ud800"}', "/owner"),
    ("half a surrogate as a key", b'{"\\udfff":1}', ""),
    ("deep, and closed", b'{"schema":' + b"[" * 500 + b"]" * 500 + b"}", "/schema" + "/0" * 7),
    ("200,000 values", {"sdks": ["a"] * 200_000}, ""),
    ("16,000 columns", declaration("a.b", schema=payload(*((f"f{n}", "string") for n in range(16_000)))), "/schema/fields"),
    ("3,000 columns", declaration("a.b", schema=payload(*((f"f{n}", "string") for n in range(3_000)))), "/schema"),
    ("a long name", field({"type": "fixed", "name": "N" * 100_000, "size": 2}), f"{FIRST}/type/name"),
    ("a schema beside the file", declaration("a.b", schema="./a.avsc"), "/schema"),
    ("a schema as text", declaration("a.b", schema=json.dumps(payload())), "/schema"),
    ("two types that contain each other", field(record("A", record("B", "A"))), f"{FIRST}/type/fields/0/type/fields/0/type"),
    ("a record in itself", field(["null", "P"]), f"{FIRST}/type/1"),
    ("an unknown name", field("Nobody"), f"{FIRST}/type"),
    ("60 levels", field(nested(60)), f"{FIRST}/type/fields/0/type/fields"),
    ("a default of another kind", field("int", default="x"), f"{FIRST}/default"),
    ("a default out of range", field("int", default=2**40), f"{FIRST}/default"),
    ("SQL as a field", declaration("a.b", schema=payload((SQL, "string"))), f"{FIRST}/name"),
    ("personal data", declaration("a.b", schema=payload(("email", "string"))), FIRST),
    ("NUL in a description", declaration("a.b", description="a\0b"), "/description"),
    ("SQL as an owner", declaration("a.b", owner=SQL), "/owner"),
    ("another name than the path", declaration("c.d"), "/event"),
    ("a name that is no text", {"event": 5}, "/event"),
    ("an unknown field", declaration("a.b", __proto__={}), "/__proto__"),
    ("an unknown field, deep", declaration("a.b", retention={"row": "1h"}), "/retention/row"),
    ("a date for what goes on", declaration("a.b", lifecycle={"state": "active", "until": "2027-01-01"}), "/lifecycle/until"),
    ("30,000 annotations", declaration("a.b", privacy={"fields": {f"f{n}": {"as": "encrypt"} for n in range(30_000)}}), "/privacy/fields"),
    ("an annotation of nothing", declaration("a.b", privacy={"fields": {"a": 5}}), "/privacy/fields/a"),
]


@pytest.mark.parametrize(("document", "where"), [case[1:] for case in UNSOUND], ids=[case[0] for case in UNSOUND])
def test_unsound_declarations(hostile: Hostile, document: Any, where: str) -> None:
    hostile.refused(hostile.ask("PUT", EVENT, document), 400, "invalid_declaration", where)


@pytest.mark.parametrize(
    ("body", "where"), [(b"owner: !!binary aGk=", "/owner"), (b"1: 2", ""), (b"partitions: .nan", "/partitions"), (b"# nothing", "")]
)
def test_unsound_yaml(hostile: Hostile, body: bytes, where: str) -> None:
    hostile.refused(hostile.ask("PUT", EVENT, body, YAML), 400, "invalid_declaration", where)


NAMES = [SQL, "../../etc/passwd", "a\0.b", "a.b\n", "A.B", "ä.ö", "a." + "b" * 4000, "a", "a..b", ".a.b", "known_type.x y"]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names(hostile: Hostile, name: str) -> None:
    hostile.refused(hostile.ask("PUT", path_of(name), declaration(name)), 400, "invalid_declaration", "/event")
    hostile.refused(hostile.ask("GET", path_of(name)), 404, "unknown_event_type", "")


NOBODY = {"lifecycle": {"state": "blocked", "replaced_by": "x.y"}}
MISFITS: list[tuple[str, Any, int, str, str]] = [
    ("incompatible", {"schema": payload(("track", "long"))}, 409, "incompatible_schema", "/schema/fields/0/type"),
    ("fewer partitions", {"partitions": 1}, 409, "partitions_shrink", "/partitions"),
    ("back to draft", {"lifecycle": "draft"}, 409, "lifecycle_transition", "/lifecycle"),
    ("replaced by nobody", NOBODY, 409, "unknown_replacement", "/lifecycle/replaced_by"),
]


@pytest.mark.parametrize(("more", "status", "code", "where"), [case[1:] for case in MISFITS], ids=[case[0] for case in MISFITS])
def test_what_does_not_fit_what_is_there(hostile: Hostile, more: Any, status: int, code: str, where: str) -> None:
    document = declaration("known.type", **more)
    hostile.refused(hostile.ask("PUT", KNOWN, document), status, code, where)
    verdict = hostile.ask("POST", f"{KNOWN}/check", document)
    assert (verdict.status, verdict.body["ok"], verdict.body["code"]) == (200, False, code)


def test_a_block_is_not_lifted_in_silence(hostile: Hostile) -> None:
    document = declaration("known.blocked")
    hostile.refused(hostile.ask("PUT", path_of("known.blocked"), document), 400, "message_required", "/lifecycle")
    verdict = hostile.ask("POST", f"{path_of('known.blocked')}/check", document).body
    assert (verdict["ok"], verdict["message_needed"], verdict["changed"]) == (True, True, ["lifecycle"])


WRONG: list[Any] = [None, True, 5, 1.5, -1, "", "x" * 5000, [], [5], {}, {"a": 5}, [[]], {"state": []}, {"fields": {"a": {"as": []}}}]


@pytest.mark.parametrize("name", [info.alias or name for name, info in Declaration.model_fields.items() if name != "event"])
def test_no_wrong_value_of_any_field_breaks_anything(hostile: Hostile, name: str) -> None:
    for value in WRONG:
        said = hostile.ask("POST", f"{EVENT}/check", declaration("a.b") | {name: value})
        assert said.status == 200, (value, said)
        if not said.body["ok"]:
            assert all(problem["path"].startswith(f"/{name}") and problem["fix"] for problem in said.body["problems"]), (value, said.body)


WORDS = ["type", "name", "fields", "items", "values", "symbols", "size", "default", "logicalType", "aliases"]
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["string", "record", "A"])
)
TREE: Any = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5), max_leaves=10
)
MORE: Any = st.dictionaries(st.sampled_from(["key", "lifecycle", "privacy", "retention", "sdks"]), TREE, max_size=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=TREE, name=st.text(max_size=12), more=MORE)
def test_no_schema_breaks_anything(hostile: Hostile, kind: Any, name: str, more: Any) -> None:
    schema = {"type": "record", "name": "P", "fields": [{"name": name, "type": kind}]}
    said = hostile.ask("POST", f"{EVENT}/check", declaration("a.b", schema=schema) | more)
    assert said.status == 200, said
    assert said.body["ok"] or all(problem["rule"] and problem["fix"] for problem in said.body["problems"])
