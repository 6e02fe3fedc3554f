"""Does a default fit its Avro type, and can it be written? Pure; expects types that have been surveyed (see lakesafe.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from .avro import Definition, full_name

_FLOAT_MAX = 3.4028234663852886e38
_WHOLE: Final[Mapping[str, tuple[int, int]]] = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "float": lambda v: _number(v) and abs(v) <= _FLOAT_MAX,
    "double": lambda v: _number(v),
}


def misfit(node: object, value: object, space: str, named: Mapping[str, Definition]) -> str | None:
    """Why `value` cannot be the default of this type; None when it can. A union's default must be of its first type."""
    if isinstance(node, list):
        return misfit(node[0], value, space, named) if node else None
    if isinstance(node, str):
        found = named.get(full_name(node, space))
        if found is not None:
            return misfit(found.node, value, found.space, named)
        return _scalar(node, value)
    if not isinstance(node, dict):
        return None
    kind = node.get("type")
    if kind == "record":
        return _record(node, value, space, named)
    if kind == "array" or kind == "map":
        inner = node.get("items" if kind == "array" else "values")
        if not isinstance(value, list if kind == "array" else dict):
            return f"expected {'a list' if kind == 'array' else 'an object'}"
        members: Any = value if isinstance(value, list) else value.values()
        return next((told for item in members if (told := misfit(inner, item, space, named)) is not None), None)
    if kind == "enum":
        return None if isinstance(node.get("symbols"), list) and value in node["symbols"] else "expected one of the symbols"
    return _scalar(str(kind), value) if node.get("logicalType") != "uuid" else _uuid(value)


def _scalar(kind: str, value: object) -> str | None:
    if kind in ("bytes", "fixed"):
        return f"{kind} cannot have a default (writers disagree about its form)"
    if kind in _WHOLE:
        low, high = _WHOLE[kind]
        return None if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high else f"expected {kind}"
    fits = _FITS.get(kind)
    return None if fits is None or fits(value) else f"expected {kind}"


def _record(node: Mapping[str, Any], value: object, space: str, named: Mapping[str, Definition]) -> str | None:
    fields = node.get("fields")
    if not isinstance(value, dict):
        return "expected an object"
    own = node.get("namespace")
    within = own if isinstance(own, str) else space
    known = {f["name"]: f for f in fields if isinstance(f, dict) and isinstance(f.get("name"), str)} if isinstance(fields, list) else {}
    if (extra := next((name for name in value if name not in known), None)) is not None:
        return f"the record has no field {extra:.80}"
    for name, field in known.items():
        if name in value:
            told = misfit(field.get("type"), value[name], within, named)
            if told is not None:
                return f"{name:.80}: {told}"
        elif "default" not in field:
            return f"the field {name:.80} is missing"
    return None


def _uuid(value: object) -> str | None:
    from uuid import UUID

    try:
        UUID(str(value))
    except ValueError:
        return "expected a UUID"
    return None


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
