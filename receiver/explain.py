"""What msgspec refuses, in the words of a declaration: a JSON pointer and `expected long, got string`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hourmark.errors import SchemaMismatch

_EXPECTED = re.compile(r"Expected `([^`]*)`(, got `([^`]*)`)?")
_FIELD = re.compile(r"^Object (contains unknown|missing required) field `([^`]*)`")
NAME_MAX: Final = 200
_JSON_NAMES: Final = {"str": "string", "int": "a whole number", "float": "a number", "bool": "boolean", "null": "null"}


def pointer_of(message: str) -> tuple[str, str]:
    """msgspec's message as (JSON pointer, what is wrong): "… - at `$.a.b[0]`" → ("/a/b/0", "…"). Below a map's key it names the map."""
    text, _, where = message.partition(" - at `")
    where = where.removeprefix("key in `").removeprefix("$").rstrip("`").split("[...]")[0]
    pointer = re.sub(r"\[(\d+)\]", r".\1", where).replace(".", "/")
    field = _FIELD.match(text)
    if field is None:
        return pointer, text
    return f"{pointer}/{escape(field[2])}", "unknown field" if field[1].startswith("contains") else "missing field"


def explain(error: msgspec.ValidationError, schema: Any) -> SchemaMismatch:
    """msgspec's refusal in the words of the declaration: path from /payload, `expected long, got string`."""
    pointer, text = pointer_of(str(error))
    found = _EXPECTED.match(text)
    if found is not None:
        _, of_map, deeper = str(error).rstrip("`").partition("[...]")
        named = "" if deeper else avro_name(schema, f"{pointer}/*" if of_map else pointer)
        wanted = named or _JSON_NAMES.get(found[1], found[1])
        got = f", got {_JSON_NAMES.get(found[3], found[3])}" if found[3] else text[len(found[0]) :]
        text = f"expected {wanted}{got}"
    return SchemaMismatch(text, path=f"/payload{pointer}")


def avro_name(schema: Any, pointer: str) -> str:
    """What the declaration calls the value at this pointer: `long`, `timestamp-micros`, `null or string`; empty when it is not found."""
    for step in [step for step in pointer.split("/") if step]:
        schema = _below(schema, step)
    if isinstance(schema, list):
        return " or ".join(avro_name(branch, "") for branch in schema)
    if isinstance(schema, str) or schema is None:
        return schema or ""
    kind = schema.get("logicalType") or schema["type"]
    return str(schema["name"]) if kind in ("record", "enum") else str(kind)


def _below(schema: Any, step: str) -> Any:
    while isinstance(schema, list):
        schema = next((branch for branch in schema if branch != "null"), None)
    if not isinstance(schema, Mapping):
        return None
    if schema["type"] == "record":
        return next((field["type"] for field in schema["fields"] if field["name"] == step), None)
    return schema.get("items") or schema.get("values")


def escape(name: str) -> str:
    """A name as a step of a JSON pointer; cut, because senders make names of any length."""
    return name[:NAME_MAX].replace("~", "~0").replace("/", "~1")
