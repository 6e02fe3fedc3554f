"""What the face knows of each kind of schema. Avro: everything. JSON Schema and Protobuf: their syntax, and when two are the same.

Whether a JSON Schema or a Protobuf schema may follow another one is not judged here: that is said, and never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from ..strict import Parsed
from . import avro_form, errors, proto_binary, proto_form
from .forms import Reference

MAX_DEPTH = 200
CACHED = 20_000  # characters; 512 larger ones would be gigabytes


class Schema(NamedTuple):
    """A schema that has been read. `fingerprint`: equal for equal schemas with equal references. `fields`: names at the top level."""

    kind: str
    text: str
    fingerprint: str
    normal: str
    fields: frozenset[str]
    avro: Parsed | None


def read(kind: str, text: str, references: Sequence[Reference] = (), used: Sequence[tuple[str, str]] = ()) -> Schema:
    """Read a schema. `used`: name and text of everything it refers to, dependencies first. Raises FaceError (42201)."""
    size = len(text) + sum(len(other) for _, other in used)
    return (_read_often if size <= CACHED else _read)(kind, text, tuple(references), tuple(used))


def resolved(schema: Schema) -> str:
    """The text with everything that it refers to; other kinds than Avro stay as they are."""
    return schema.text if schema.avro is None else avro_form.resolved(schema.avro)


def _read(kind: str, text: str, references: tuple[Reference, ...], used: tuple[tuple[str, str], ...]) -> Schema:
    if kind == "AVRO":
        parsed = avro_form.read(text, [found for _, found in used])
        record = isinstance(parsed.full, dict) and parsed.full["type"] == "record"
        fields = parsed.full["fields"] if record else ()
        names = frozenset(field["name"] for field in fields)
        return Schema(kind, text, _fingerprint(kind, avro_form.one_text(parsed), references), avro_form.normal(parsed), names, parsed)
    if kind == "JSON":
        node = _json(text)
        _check_json_schema(node)
        names = (
            frozenset(node.get("properties") or ()) if isinstance(node, dict) and isinstance(node.get("properties"), dict) else frozenset()
        )
        same = json.dumps(node, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return Schema(kind, text, _fingerprint(kind, same, references), same, names, None)
    described = proto_binary.descriptor(text)
    normal = proto_form.normal(text) if described is None else proto_binary.normal(described)
    names = proto_form.fields(text) if described is None else proto_binary.fields(described)
    return Schema(kind, text, _fingerprint(kind, normal, references), normal, names, None)


_read_often = lru_cache(maxsize=512)(_read)


def _fingerprint(kind: str, text: str, references: Sequence[Reference]) -> str:
    parts = [kind, text, *(f"{reference.name}\0{reference.subject}\0{reference.version}" for reference in sorted(references))]
    return sha256("\1".join(parts).encode()).hexdigest()


def _json(text: str) -> Any:
    try:
        node = json.loads(text)
        depth = _depth(text)
    except (ValueError, RecursionError) as exc:
        raise errors.invalid_schema(f"Invalid schema, details: {' '.join(str(exc).split()):.300}") from None
    if depth > MAX_DEPTH:
        raise errors.invalid_schema(f"Invalid schema, details: nested deeper than {MAX_DEPTH}")
    if not isinstance(node, dict | bool):
        raise errors.invalid_schema("Invalid schema, details: a schema is an object, true or false")
    return node


def _depth(text: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if len(bracket) == 1:
            depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
    return deepest


def _check_json_schema(node: Any) -> None:
    from jsonschema import Draft7Validator, SchemaError, validators

    kind = validators.validator_for(node, default=Draft7Validator)
    try:
        kind.check_schema(node)
    except SchemaError as exc:
        where = "".join(f"/{step}" for step in exc.absolute_path) or "/"
        raise errors.invalid_schema(f"Invalid schema, details: {where}: {exc.message:.500}") from None
    except RecursionError:
        raise errors.invalid_schema("Invalid schema, details: nested too deep") from None
