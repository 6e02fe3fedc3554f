"""Bytes to plain data: JSON and YAML bodies, bounded before anything walks them.

What comes out holds only JSON types, at most `MAX_DEPTH` deep, at most `MAX_VALUES` of them. Refuses duplicate keys, NaN, YAML aliases.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any
from unicodedata import category

import yaml

from .refusal import Problem, Refused, pointer

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000
_INT64 = 2**63


def parse_json(body: bytes) -> Any:
    """A JSON body. Raises Refused (400) when it is none."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant)
    except (ValueError, RecursionError) as exc:
        raise _malformed("JSON", exc) from None


def parse_yaml(body: bytes) -> Any:
    """A YAML body of one document. Raises Refused (400) when it is none, nests too deep or uses aliases (they can explode)."""
    try:
        text = body.decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"{event.start_mark}: aliases (*{event.anchor}) are not allowed; write the value out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError) as exc:
        raise _malformed("YAML", exc) from None  # constructors of tags (!!bool x) raise whatever their conversion raises


def plain(document: object, depth: int = MAX_DEPTH) -> list[Problem]:
    """Problems that keep a document from being plain JSON data of at most this depth, found without recursion."""
    problems: list[Problem] = []
    count = 0
    stack: list[tuple[object, tuple[object, ...]]] = [(document, ())]
    while stack and len(problems) < 10:
        node, steps = stack.pop()
        if isinstance(node, dict | list):
            count += len(node)
            if count > MAX_VALUES:
                return [Problem("", "too_large", f"more than {MAX_VALUES} values", "shorten the document")]
            if len(steps) >= depth:
                problems.append(Problem(pointer(*steps[:8]), "too_deep", f"nested deeper than {depth}", "flatten the document"))
                continue
            items: Any = node.items() if isinstance(node, dict) else enumerate(node)
            stack.extend((value, (*steps, key)) for key, value in items)
            if isinstance(node, dict):
                problems += [p for key in node if (p := _wrong_key(key, steps)) is not None]
        elif (wrong := _wrong_scalar(node)) is not None:
            problems.append(Problem(pointer(*steps), *wrong))
    return problems


def is_text(text: str, breaks: str = "") -> bool:
    """Is it text that people wrote: no control characters (but `breaks`), no half of a surrogate pair, and not only spaces?"""
    return bool(text.strip()) and not any(category(char) in ("Cc", "Cs") and char not in breaks for char in text)


def _wrong_key(key: object, steps: tuple[object, ...]) -> Problem | None:
    if isinstance(key, str):
        wrong = _wrong_scalar(key)
        return None if wrong is None else Problem(pointer(*steps), *wrong)
    return Problem(pointer(*steps), "key_type", f"the key {key!r:.50} is no text", "put the key in quotes")


def _wrong_scalar(value: object) -> tuple[str, str, str] | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "unicode", "the text holds half of a surrogate pair", "write the character itself"
        return None
    if isinstance(value, int):
        return None if -_INT64 <= value < _INT64 else ("number_range", "the number does not fit 64 bits", "use a number within 64 bits")
    if isinstance(value, float):
        return None if math.isfinite(value) else ("number_range", "the number is not finite", "use a finite number")
    return "value_type", f"a {type(value).__name__} is no JSON value", "put the value in quotes"


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which a repeated key is an error, as in our JSON, and a date (`2027-03-01`) the text it is: JSON knows no dates."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if (twice := _twice(key for key in keys if isinstance(key, str))) is not None:
            raise ValueError(f"line {node.start_mark.line + 1}: the key {twice!r:.80} stands twice")
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"the key {_twice(name for name, _ in pairs)!r:.80} stands twice")
    return found


def _twice(names: Iterable[str]) -> str | None:
    """The first name that was there before; in one pass, because there may be a hundred thousand."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _malformed(form: str, exc: Exception) -> Refused:
    told = " ".join(str(exc).split())[:300]
    if isinstance(exc, RecursionError):
        told = "nested too deep"
    elif not isinstance(exc, ValueError | yaml.YAMLError):
        told = "a value does not fit its tag (!!…)"
    problem = Problem("", f"malformed_{form.lower()}", told, f"send one well-formed {form} document in UTF-8")
    return Refused(400, "malformed_body", f"the body is no {form}: {told}", [problem])
