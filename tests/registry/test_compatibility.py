"""The rules for payload schemas of events, one row each: what may change, and what is refused, where, by which rule, in which direction."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from registry.compatibility import check
from registry.refusal import Problem
from tests.registry.avro_pairs import CHANCES, JUNK, Pairs
from tests.registry.documents import payload

A = ("a", "string")
E = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
EC = {"type": "enum", "name": "E", "symbols": ["A", "C"]}
F = {"type": "fixed", "name": "F", "size": 2}
MILLIS, MICROS = {"type": "long", "logicalType": "timestamp-millis"}, {"type": "long", "logicalType": "timestamp-micros"}


def inner(*fields: Any, **more: Any) -> Any:
    return payload(*fields or [("x", "int")], **{"name": "I", **more})


def decimal(precision: int, scale: int) -> Any:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def aliased(field: Any, *aliases: str) -> Any:
    found = payload(A, field)
    found["fields"][1]["aliases"] = list(aliases)
    return found


ALLOWED: list[tuple[str, Any, Any]] = [
    ("nothing", payload(A), payload(A)),
    ("field with default", payload(A), payload(A, ("b", "int", 0))),
    ("field with default gone", payload(A, ("b", "int", 0)), payload(A)),
    ("order of fields and a default's value", payload(A, ("b", "int", 0)), payload(("b", "int", 1), A)),
    ("doc", payload(A), payload(A, doc="told")),
    ("doc inside", payload(("a", inner())), payload(("a", inner(doc="told")))),
    ("default given", payload(("a", "int")), payload(("a", "int", 1))),
    ("field of an inner record", payload(("a", inner())), payload(("a", inner(("x", "int"), ("y", ["null", "int"], None))))),
    ("a definition elsewhere", payload(("a", inner()), ("b", "I")), payload(("b", inner()), ("a", "I"))),
    ("null moved", payload(("a", ["null", "int"], None)), payload(("a", ["int", "null"], 0))),
    ("union of one", payload(("a", "int")), payload(("a", ["int"]))),
    ("order of symbols", payload(("a", E)), payload(("a", {**E, "symbols": ["B", "A"]}))),
    ("symbols of an enum with a default", payload(("a", {**E, "default": "A"})), payload(("a", {**EC, "default": "C"}))),
    ("name of the payload", payload(A), payload(A, name="Q", namespace="y")),
    ("alias of nothing", payload(A, ("b", "int", 0)), aliased(("b", "int", 0), "c")),
]

# (name, old, new, path, rule, direction)
REFUSED: list[tuple[str, Any, Any, str, str, str]] = [
    ("added", payload(A), payload(A, ("b", "int")), "/fields/1", "added_without_default", "backward"),
    ("removed", payload(A, ("b", "int")), payload(A), "/fields", "removed_without_default", "forward"),
    ("default removed", payload(("a", "int", 0)), payload(("a", "int")), "/fields/0", "default_removed", "backward"),
    ("narrowed", payload(("a", "long")), payload(("a", "int")), "/fields/0/type", "narrowed", "backward"),
    ("narrowed floating", payload(("a", "double")), payload(("a", "float")), "/fields/0/type", "narrowed", "backward"),
    ("double to long", payload(("a", "double")), payload(("a", "long")), "/fields/0/type", "narrowed", "backward"),
    ("widened", payload(("a", "int")), payload(("a", "long")), "/fields/0/type", "widened", "forward"),
    ("widened floating", payload(("a", "float")), payload(("a", "double")), "/fields/0/type", "widened", "forward"),
    ("long to double", payload(("a", "long")), payload(("a", "double")), "/fields/0/type", "whole_to_floating", "forward"),
    ("int to float", payload(("a", "int")), payload(("a", "float")), "/fields/0/type", "whole_to_floating", "forward"),
    ("bytes to string", payload(("a", "bytes")), payload(A), "/fields/0/type", "bytes_and_string", "both"),
    ("string to bytes", payload(A), payload(("a", "bytes")), "/fields/0/type", "bytes_and_string", "both"),
    ("another type", payload(A), payload(("a", "int")), "/fields/0/type", "type_changed", "both"),
    ("array to type", payload(("a", {"type": "array", "items": "int"})), payload(("a", "int")), "/fields/0/type", "type_changed", "both"),
    ("unit", payload(("a", MILLIS)), payload(("a", MICROS)), "/fields/0/type", "logical_type_changed", "both"),
    ("logical type gone", payload(("a", MICROS)), payload(("a", "long")), "/fields/0/type", "logical_type_changed", "both"),
    (
        "logical type new",
        payload(A),
        payload(("a", {"type": "string", "logicalType": "uuid"})),
        "/fields/0/type",
        "logical_type_changed",
        "both",
    ),
    ("scale", payload(("a", decimal(9, 2))), payload(("a", decimal(9, 3))), "/fields/0/type", "logical_type_changed", "both"),
    ("precision", payload(("a", decimal(9, 2))), payload(("a", decimal(10, 2))), "/fields/0/type", "logical_type_changed", "both"),
    (
        "unit in an optional",
        payload(("a", ["null", MILLIS], None)),
        payload(("a", ["null", MICROS], None)),
        "/fields/0/type/1",
        "logical_type_changed",
        "both",
    ),
    ("optional", payload(("a", "int")), payload(("a", ["null", "int"], None)), "/fields/0/type", "became_optional", "forward"),
    ("required", payload(("a", ["null", "int"], None)), payload(("a", "int", 0)), "/fields/0/type", "became_required", "backward"),
    (
        "union grown",
        payload(("a", ["int", "string"])),
        payload(("a", ["int", "string", "bytes"])),
        "/fields/0/type",
        "union_changed",
        "both",
    ),
    ("union merged", payload(("a", ["int", "long"])), payload(("a", ["long"])), "/fields/0/type", "union_changed", "both"),
    ("union reordered", payload(("a", ["int", "string"])), payload(("a", ["string", "int"])), "/fields/0/type", "union_changed", "both"),
    ("case", payload(("userRef", "int", 0)), payload(("userref", "int", 0)), "/fields/0/name", "name_differs_in_case", "both"),
    (
        "symbol gone",
        payload(("a", E)),
        payload(("a", {**E, "symbols": ["A"]})),
        "/fields/0/type/symbols",
        "missing_enum_symbols",
        "backward",
    ),
    ("symbol new", payload(("a", {**E, "symbols": ["A"]})), payload(("a", E)), "/fields/0/type/symbols", "missing_enum_symbols", "forward"),
    ("symbols", payload(("a", E)), payload(("a", EC)), "/fields/0/type/symbols", "missing_enum_symbols", "both"),
    (
        "enum default gone",
        payload(("a", {**E, "default": "A"})),
        payload(("a", EC)),
        "/fields/0/type/symbols",
        "missing_enum_symbols",
        "backward",
    ),
    ("size", payload(("a", F)), payload(("a", {**F, "size": 3})), "/fields/0/type/size", "fixed_size_changed", "both"),
    ("inner name", payload(("a", inner())), payload(("a", inner(name="J"))), "/fields/0/type", "type_renamed", "both"),
    (
        "inner name with an alias",
        payload(("a", inner())),
        payload(("a", inner(name="J", aliases=["I"]))),
        "/fields/0/type",
        "type_renamed",
        "both",
    ),
    (
        "namespace with names inside",
        payload(("a", inner()), namespace="x"),
        payload(("a", inner()), namespace="y"),
        "/fields/0/type",
        "type_renamed",
        "both",
    ),
    (
        "inner field added",
        payload(("a", inner())),
        payload(("a", inner(("x", "int"), ("y", "int")))),
        "/fields/0/type/fields/1",
        "added_without_default",
        "backward",
    ),
    (
        "deep in an array",
        payload(("a", {"type": "array", "items": {"type": "map", "values": inner()}})),
        payload(("a", {"type": "array", "items": {"type": "map", "values": inner(("x", "long"))}})),
        "/fields/0/type/items/values/fields/0/type",
        "widened",
        "forward",
    ),
    (
        "where the name is defined",
        payload(("a", inner()), ("b", "I")),
        payload(("b", inner(("x", "long"))), ("a", "I")),
        "/fields/0/type/fields/0/type",
        "widened",
        "forward",
    ),
    (
        "comes back in another case",
        payload(("ref", inner(("Track", "int", 0)))),
        payload(("ref", inner(("track", "int", 0)))),
        "/fields/0/type/fields/0/name",
        "name_differs_in_case",
        "both",
    ),
    ("renamed by an alias", payload(A, ("b", "int")), aliased(("c", "int"), "b"), "/fields/1", "added_without_default", "backward"),
    (
        "an alias of another type",
        payload(A, ("b", "int", 0)),
        aliased(("c", "string", ""), "b"),
        "/fields/1/type",
        "type_mismatch",
        "backward",
    ),
    ("an alias of a field that stays", payload(A), aliased(("b", "string", ""), "a"), "/fields/1", "ambiguous_alias", "backward"),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in ALLOWED], ids=[case[0] for case in ALLOWED])
def test_allowed(old: Any, new: Any) -> None:
    assert check([(1, old)], new) == []


@pytest.mark.parametrize(("old", "new", "path", "rule", "direction"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(old: Any, new: Any, path: str, rule: str, direction: str) -> None:
    problems = check([(1, old)], new)
    assert ("/schema" + path, rule, direction) in [(p.path, p.rule, p.direction) for p in problems], problems
    for problem in problems:
        assert complete(problem), problem


def complete(problem: Problem) -> bool:
    """Everything that a refusal must say."""
    return all((problem.path, problem.rule, problem.message, problem.fix, problem.direction, problem.against)) and None not in (
        problem.old,
        problem.new,
    )


def test_against_every_version_and_each_told_once() -> None:
    versions = [(1, payload(A, ("b", "int", 0))), (2, payload(A)), (3, payload(A, ("c", "int", 0)))]
    assert check(versions, payload(A, ("c", "int", 0))) == []
    # the field comes back with another type: version 1 remembers
    again = check(versions, payload(A, ("b", "string", ""), ("c", "long", 0)))
    assert [(p.path, p.rule, p.against) for p in again] == [
        ("/schema/fields/2/type", "widened", "3"),
        ("/schema/fields/1/type", "type_changed", "1"),
    ]
    twice = check([(1, payload(A)), (2, payload(A))], payload(A, ("b", "int")))
    assert [(p.rule, p.against) for p in twice] == [("added_without_default", "2")]


def test_what_stood_there_and_stands_there() -> None:
    [problem] = check([("v7", payload(("a", "long")))], payload(("a", "int")))
    assert (problem.old, problem.new, problem.against) == ("long", "int", "v7")


def test_large_pieces_are_cut() -> None:
    wide = inner(*[(f"field_{n}", "int", 0) for n in range(300)])
    [problem] = check([(1, payload(("a", wide)))], payload(("a", "int")))
    assert len(str(problem)) < 1500


@settings(max_examples=150, deadline=None)
@given(JUNK, JUNK, CHANCES)
def test_anything_gets_an_answer(old: Any, new: Any, chance: Random) -> None:
    """Also schemas that are no payload of an event: recursive, without fields, no schema at all."""
    strange, changed = Pairs(chance).pair()
    for older, newer in ((old, new), (old, strange), (strange, new), (strange, changed), (payload(A), {"type": "record", "fields": new})):
        for problem in check([(1, older)], newer):
            assert problem.path
            assert problem.fix
