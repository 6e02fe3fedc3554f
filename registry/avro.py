"""Avro's names: what is a valid one, and how namespaces complete it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED: Final = ("record", "error", "enum", "fixed")


class Shape(NamedTuple):
    """Size of a type with its named types written out: columns in the lake, and levels of nesting."""

    columns: int = 1
    height: int = 1


class Definition(NamedTuple):
    """A named type, the namespace that names inside it belong to, and where in its document it stands."""

    node: dict[str, Any]
    space: str
    shape: Shape
    steps: tuple[object, ...] = ()


def full_name(name: str, space: str) -> str:
    """An Avro name with its namespace; a dotted name already has one."""
    return name if "." in name or not space else f"{space}.{name}"


def inner_space(node: Mapping[str, Any], space: str) -> str:
    """The namespace that names inside this named type belong to."""
    name, own = node.get("name"), node.get("namespace")
    if isinstance(name, str) and "." in name:
        return name.rpartition(".")[0]
    return own if isinstance(own, str) else space
