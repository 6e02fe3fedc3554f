"""Avro schemas of the face: one text for equal ones, the normal form that is stored on request, and references written out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..avro import NAMED, PRIMITIVES
from ..compile import canonical
from ..grammar import Grammar
from ..refusal import Refused
from ..strict import Parsed, parse
from . import errors

_FIRST: Final = ("type", "name", "namespace", "doc", "fields", "symbols", "items", "values", "size", "default", "order", "aliases")


class Lenient(Grammar):
    """Namespaces as Java lets them through, and so Confluent's registry: with dashes, and with digits first."""

    space_step = re.compile(r"[A-Za-z0-9_-]+")


def read(text: str, references: Sequence[str] = ()) -> Parsed:
    """A schema with the texts of those it refers to, dependencies first. Raises FaceError (42201)."""
    try:
        return parse(text, references, Lenient)
    except Refused as exc:
        told = "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in exc.problems[:5])
        raise errors.invalid_schema(f"Invalid schema, details: {told:.2000}") from None


def one_text(parsed: Parsed) -> str:
    """Equal for equal schemas: inherited and explicit namespaces, order of attributes and spaces make no difference; docs do."""
    return canonical(_node(parsed.full, ""))


def normal(parsed: Parsed) -> str:
    """The schema as Avro itself would print it, with other attributes sorted."""
    return json.dumps(_node(parsed.full, ""), separators=(",", ":"), ensure_ascii=False)


def resolved(parsed: Parsed) -> str:
    """The schema with the types of its references in it, each where it is used first."""
    return json.dumps(_node(_written_out(parsed.full, parsed, set()), ""), separators=(",", ":"), ensure_ascii=False)


def _node(node: Any, space: str) -> Any:
    if isinstance(node, str):
        return node if node in PRIMITIVES or node.rpartition(".")[0] != space else node.rpartition(".")[2]
    if isinstance(node, list):
        return [_node(branch, space) for branch in node]
    found = dict(node)
    if node["type"] in NAMED:
        within, _, found["name"] = node["name"].rpartition(".")
        found.pop("namespace", None)
        if within != space:
            found["namespace"] = within
        if "fields" in node:
            found["fields"] = [
                _ordered({**field, "type": _node(field["type"], within)}, ("name", "type", *_FIRST)) for field in node["fields"]
            ]
    for member in ("items", "values"):
        if member in node:
            found[member] = _node(node[member], space)
    return _ordered(found, _FIRST)


def _ordered(node: Mapping[str, Any], first: Sequence[str]) -> dict[str, Any]:
    names = dict.fromkeys([name for name in first if name in node] + sorted(node))
    return {name: node[name] for name in names if not (name == "order" and node[name] == "ascending")}


def _written_out(node: Any, parsed: Parsed, seen: set[str]) -> Any:
    if isinstance(node, str):
        if node in seen or node in parsed.steps or node not in parsed.types:
            return node
        return _written_out(parsed.types[node], parsed, seen)
    if isinstance(node, list):
        return [_written_out(branch, parsed, seen) for branch in node]
    found = dict(node)
    if node["type"] in NAMED:
        seen.add(node["name"])
    if "fields" in node:
        found["fields"] = [{**field, "type": _written_out(field["type"], parsed, seen)} for field in node["fields"]]
    for member in ("items", "values"):
        if member in node:
            found[member] = _written_out(node[member], parsed, seen)
    return found
