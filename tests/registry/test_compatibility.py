from __future__ import annotations

from typing import Any

import pytest

from registry.compatibility import check
from tests.registry.documents import payload

A = ("a", "string")
INNER = {"type": "record", "name": "I", "fields": [{"name": "x", "type": "int", "doc": "one"}]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (payload(A), payload(A)),
        (payload(A), payload(A, ("b", "int", 0))),
        (payload(A, ("b", "int", 0)), payload(A)),
        (payload(A, ("b", "int", 0)), payload(("b", "int", 1), A)),
        (payload(A), payload(A, doc="told")),
        (payload(("a", INNER)), payload(("a", {"type": "record", "name": "I", "fields": [{"name": "x", "type": "int"}]}))),
    ],
)
def test_safe(old: Any, new: Any) -> None:
    assert check(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "rule"),
    [
        (payload(A), payload(A, ("b", "int")), "/schema/fields/1", "added_without_default"),
        (payload(A, ("b", "int")), payload(A), "/schema/fields", "removed_without_default"),
        (payload(A), payload(("a", "bytes")), "/schema/fields/0/type", "type_changed"),
        (payload(("a", "int")), payload(("a", "long")), "/schema/fields/0/type", "type_changed"),
        (payload(("a", "int", 0)), payload(("a", "int")), "/schema/fields/0", "default_removed"),
        (payload(("a", INNER), namespace="x"), payload(("a", INNER), namespace="y"), "/schema/namespace", "namespace_changed"),
    ],
)
def test_refused(old: Any, new: Any, path: str, rule: str) -> None:
    problems = check(old, new)
    assert [(p.path, p.rule) for p in problems] == [(path, rule)]
    assert problems[0].fix
