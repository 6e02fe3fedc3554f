"""Strict parsing of any Avro schema: what both Avro libraries accept, and neither lets through wrongly.

Both are lenient, each elsewhere: wrong defaults, empty enums, unions in unions, bad names and namespaces get past one or the other. Here
the grammar reads first; what it lets through both libraries must accept as well. Bounded: no text takes longer than about a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import avro.name
import avro.schema
import fastavro

from . import document as documents
from .avro import NAMED, PRIMITIVES, Definition, full_name, inner_space
from .grammar import Grammar
from .refusal import Problem, Refused

MAX_TEXT: Final = documents.MAX_BYTES
MAX_JSON_DEPTH: Final = 300  # a type takes at most four levels of JSON
# What a type object may say about itself: everything else is the owner's own.
_BARE: Final = frozenset({"type", "doc"})


class Parsed(NamedTuple):
    """A schema that has been read strictly.

    `schema`: JSON as it was sent. `full`: the same with every name in full, so that inherited and explicit namespaces look alike.
    `types`: the named types as they stand in `full`, by full name, with those of the references. `steps`: where each of its own stands.
    `library`: the same as an object of PyPI `avro`, for its check of compatibility.
    """

    schema: Any
    full: Any
    types: Mapping[str, Any]
    steps: Mapping[str, tuple[object, ...]]
    library: Any


def parse(source: object, references: Sequence[object] = (), grammar: type[Grammar] = Grammar) -> Parsed:
    """Read a schema: JSON text (str), or what JSON has been parsed to. Raises Refused (422) with every problem.

    `references`: schemas whose named types this one may use, dependencies first. Types and unions may stand at the top.
    `grammar`: says alone which names are valid.
    """
    named: dict[str, Definition] = {}
    types: dict[str, Any] = {}
    libraries = _Libraries()
    seen: list[Any] = []
    for number, reference in enumerate(references):
        schema = _read(reference)
        if schema in seen:
            continue  # two that it uses may use the same third
        seen.append(schema)
        found = grammar(schema, known=named)
        if found.problems:
            told = f"reference {number + 1}: {found.problems[0].message}"
            raise _refused([Problem("", "reference", told, "correct the referenced schema")])
        named = found.named
        whole = full(schema)
        libraries.accept(whole)
        types |= dict(_types(whole))
    schema = _read(source)
    read = grammar(schema, known=named)
    if read.problems:
        raise _refused(read.problems)
    whole = full(schema)
    library = libraries.accept(whole)
    steps = {name: found.steps for name, found in read.named.items() if name not in named}
    return Parsed(schema, whole, types | dict(_types(whole)), steps, library)


def parse_payload(payload: Mapping[str, Any]) -> Parsed:
    """A payload schema. Its own name does not count, as the wire schema is named after the event type. Raises Refused (422)."""
    if not isinstance(payload, Mapping) or payload.get("type") != "record":
        raise _refused([Problem("", "record", "the payload schema is no record", 'write {"type": "record", "name": …, "fields": […]}')])
    return parse({**payload, "name": full_name("HourmarkPayload", inner_space(payload, ""))})


def full(schema: Any, space: str = "") -> Any:
    """A sound schema with every name and alias in full, and primitives without attributes as words."""
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES else full_name(schema, space)
    if isinstance(schema, list):
        return [full(branch, space) for branch in schema]
    kind = schema["type"]
    if kind in PRIMITIVES and schema.keys() == {"type"}:
        return kind
    if kind == "array" or kind == "map":
        member = "items" if kind == "array" else "values"
        return {**schema, member: full(schema[member], space)}
    return _full_named(schema, kind, space) if kind in NAMED else dict(schema)


def _full_named(schema: Mapping[str, Any], kind: str, space: str) -> dict[str, Any]:
    within = inner_space(schema, space)
    whole = {key: value for key, value in schema.items() if key != "namespace"}
    whole["name"] = full_name(schema["name"], within)
    if within == "" and "." not in whole["name"] and space:
        whole["namespace"] = ""  # or it would inherit one
    if "aliases" in schema:
        whole["aliases"] = [full_name(alias, within) for alias in schema["aliases"]]
    if kind in ("record", "error"):
        whole["fields"] = [{**field, "type": full(field["type"], within)} for field in schema["fields"]]
    return whole


def _types(whole: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(whole, list):
        for branch in whole:
            yield from _types(branch)
    elif isinstance(whole, dict):
        kind = whole["type"]
        if kind in NAMED:
            yield whole["name"], whole
        for inner in (field["type"] for field in whole["fields"]) if kind in ("record", "error") else _inner(whole, kind):
            yield from _types(inner)


def _inner(whole: Mapping[str, Any], kind: str) -> list[Any]:
    return [whole["items"]] if kind == "array" else [whole["values"]] if kind == "map" else []


class _Libraries:
    """Both Avro libraries, with the names that they have seen."""

    def __init__(self) -> None:
        self._avro = avro.name.Names(validate_names=False)
        self._fastavro: dict[str, Any] = {}

    def accept(self, whole: Any) -> Any:
        """The schema as PyPI `avro` has it. Raises Refused (422) when one of the two refuses."""
        try:
            fastavro.parse_schema(whole, self._fastavro)
        except Exception as exc:  # the libraries raise what they like; whatever it is, they refused the schema
            raise _refused([Problem("", "library", f"fastavro refuses the schema: {exc!s:.300}", "correct the schema")]) from None
        try:
            return avro.schema.make_avsc_object(_plainest(whole), self._avro, validate_names=False)
        except Exception as exc:
            raise _refused([Problem("", "library", f"avro refuses the schema: {exc!s:.300}", "correct the schema")]) from None


def _plainest(whole: Any) -> Any:
    """What PyPI `avro` can judge: it knows errors only in protocols, only warns of logical types, and takes attributes for its own."""
    if isinstance(whole, str):
        return whole
    if isinstance(whole, list):
        return [_plainest(branch) for branch in whole]
    kind = whole["type"]
    if kind in PRIMITIVES:
        return kind
    if kind == "array":
        return {"type": kind, "items": _plainest(whole["items"])}
    if kind == "map":
        return {"type": kind, "values": _plainest(whole["values"])}
    kept = {key: whole[key] for key in ("name", "namespace", "aliases", "symbols", "size", "default") if key in whole}
    if kind not in ("record", "error"):
        return {"type": kind, **kept}
    return {**kept, "type": "record", "fields": list(map(_plainest_field, whole["fields"]))}


def _plainest_field(field: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field[key] for key in ("name", "default", "order", "aliases") if key in field} | {"type": _plainest(field["type"])}


def _read(source: object) -> Any:
    try:
        if isinstance(source, str):
            body = source.encode()
            if len(body) > MAX_TEXT:
                raise _refused([Problem("", "too_large", f"the schema is larger than {MAX_TEXT} bytes", "split the schema")])
            source = documents.parse_json(body)
    except UnicodeEncodeError:
        raise _refused([Problem("", "unicode", "the text holds half of a surrogate pair", "write the character itself")]) from None
    except Refused as exc:
        raise _refused(exc.problems) from None
    problems = documents.plain(source, MAX_JSON_DEPTH)
    if problems:
        raise _refused(problems)
    return source


def _refused(problems: Sequence[Problem]) -> Refused:
    first = problems[0]
    return Refused(422, "invalid_schema", f"{first.path or 'schema'}: {first.message}", problems)
