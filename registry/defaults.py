"""Does a default fit its Avro type, and can it be written? Pure, bounded, and patient with types that are themselves at fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from .avro import Definition, full_name, inner_space

STEPS: Final = 300_000
_FLOAT_MAX: Final = 3.4028234663852886e38
_WHOLE: Final[Mapping[str, tuple[int, int]]] = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "float": lambda v: _number(v) and abs(v) <= _FLOAT_MAX,
    "double": lambda v: _number(v),
}


class Fit:
    """Defaults of one schema, with one budget of steps for all of them.

    `spec`: as Avro 1.12 has it, a union's default may be of any of its types and bytes are written as text. Otherwise as the lake has it:
    the first type of a union, no default for bytes and fixed (writers disagree about its form), a UUID where one is declared.
    """

    def __init__(self, named: Mapping[str, Definition], spec: bool) -> None:
        self._named, self._spec, self._left = named, spec, STEPS

    def misfit(self, node: object, value: object, space: str) -> str | None:
        """Why `value` cannot be the default of this type; None when it can."""
        self._left -= 1
        if self._left < 0:
            return "the defaults of the schema are too large to be checked"
        if isinstance(node, list):
            return self._union(node, value, space)
        if isinstance(node, str):
            found = self._named.get(full_name(node, space))
            return self._scalar(node, value, None) if found is None else self._object(found.node, value, found.space)
        return self._object(node, value, inner_space(node, space)) if isinstance(node, dict) else None

    def _union(self, branches: list[Any], value: object, space: str) -> str | None:
        if not branches:
            return None
        if not self._spec:
            return self.misfit(branches[0], value, space)
        told = [self.misfit(branch, value, space) for branch in branches]
        return None if None in told else told[0] if len(told) == 1 else "the default fits none of the union's types"

    def _object(self, node: dict[str, Any], value: object, within: str) -> str | None:
        kind = node.get("type")
        if kind in ("record", "error"):
            return self._record(node, value, within)
        if kind == "array" or kind == "map":
            inner = node.get("items" if kind == "array" else "values")
            if not isinstance(value, list if kind == "array" else dict):
                return f"expected {'a list' if kind == 'array' else 'an object'}"
            members: Any = value if isinstance(value, list) else value.values()
            return next((told for item in members if (told := self.misfit(inner, item, within)) is not None), None)
        if kind == "enum":
            symbols = node.get("symbols")
            self._left -= len(symbols) // 50 if isinstance(symbols, list) else 0
            return None if isinstance(symbols, list) and value in symbols else "expected one of the symbols"
        if node.get("logicalType") == "uuid" and kind == "string" and not self._spec:
            return _uuid(value)
        return self._scalar(str(kind), value, node.get("size"))

    def _scalar(self, kind: str, value: object, size: object) -> str | None:
        if kind in ("bytes", "fixed"):
            return _bytes(kind, value, size) if self._spec else f"{kind} cannot have a default (writers disagree about its form)"
        if kind in _WHOLE:
            low, high = _WHOLE[kind]
            return None if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high else f"expected {kind}"
        fits = _FITS.get(kind)
        return None if fits is None or fits(value) else f"expected {kind}"

    def _record(self, node: Mapping[str, Any], value: object, within: str) -> str | None:
        fields = node.get("fields")
        if not isinstance(value, dict):
            return "expected an object"
        known = {f["name"]: f for f in fields if isinstance(f, dict) and isinstance(f.get("name"), str)} if isinstance(fields, list) else {}
        self._left -= len(known)
        if (extra := next((name for name in value if name not in known), None)) is not None:
            return f"the record has no field {extra:.80}"
        for name, field in known.items():
            if name in value:
                told = self.misfit(field.get("type"), value[name], within)
                if told is not None:
                    return f"{name:.80}: {told}"
            elif "default" not in field:
                return f"the field {name:.80} is missing"
        return None


def _bytes(kind: str, value: object, size: object) -> str | None:
    if not isinstance(value, str) or any(ord(letter) > 255 for letter in value):
        return f"expected {kind}: a text of characters up to U+00FF, one for each byte"
    return f"expected {size} bytes" if kind == "fixed" and len(value) != size else None


def _uuid(value: object) -> str | None:
    try:
        UUID(str(value))
    except ValueError:
        return "expected a UUID"
    return None


def _number(value: object) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)))
