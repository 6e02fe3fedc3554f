"""Personal data is never shown by the command line: which fields hold it, and what stands in the place of values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, Final

MASK: Final = "***"
ITEMS: Final = 3  # of an array
NAMES: Final = 60  # of an object
DEPTH: Final = 20
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KINDS: Final = (
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("date-time", re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("digits", re.compile(r"\d+")),
    ("number", re.compile(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?")),
)
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


def private_of(declaration: Mapping[str, Any]) -> frozenset[str]:
    """Top-level payload fields that a stored declaration protects, or that hold such a field, as on the control topic."""
    fields = (declaration.get("privacy") or {}).get("fields") or {}
    return frozenset(path.split(".")[0] for path, how in fields.items() if isinstance(how, Mapping) and how.get("as"))


def masked(payload: Mapping[str, Any], private: Collection[str]) -> dict[str, Any]:
    """The payload with the mask in place of what is private; null stays null, so that one sees whether there is anything."""
    return {name: MASK if name in private and value is not None else value for name, value in payload.items()}


def shape(value: Any, depth: int = DEPTH) -> Any:
    """A JSON value with its structure, and of each value only kind and length: `text(5)`, `digits(5)`, `integer(3 digits)`.

    What says nothing of anybody stays: null, true and false, and names of fields that look like names.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, list | tuple):
        if depth <= 0:
            return f"array({len(value)})"
        more = [f"… {len(value) - ITEMS} more"] if len(value) > ITEMS else []
        return [shape(item, depth - 1) for item in value[:ITEMS]] + more
    if isinstance(value, int):
        return f"{'negative ' if value < 0 else ''}integer({_digits(value)})"
    if isinstance(value, str):
        return _text(value)
    return "number" if isinstance(value, float) else type(value).__name__


def unquoted(text: str) -> str:
    """The words of a refusal, with only the length of what they quote from an event."""
    return _QUOTED.sub(lambda found: f"'{_text(found[0][1:-1])}'", text)


def path_shape(pointer: str) -> str:
    """A JSON pointer without steps that look like data: a map's key may be somebody's address."""
    return "/".join(step if not step or step.isdigit() or _NAME.fullmatch(step) else _text(step) for step in pointer.split("/"))


def _object(value: Mapping[Any, Any], depth: int) -> Any:
    if depth <= 0:
        return f"object({len(value)})"
    shown: dict[str, Any] = {}
    for name, inner in islice(value.items(), NAMES):
        shown[name if _NAME.fullmatch(str(name)) else f"{_text(str(name))} #{len(shown) + 1}"] = shape(inner, depth - 1)
    if len(value) > NAMES:
        shown["…"] = f"{len(value) - NAMES} more"
    return shown


def _text(text: str) -> str:
    kind = next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), "text")
    return kind if kind in ("uuid", "date-time", "date") else f"{kind}({len(text)})"


def _digits(number: int) -> str:
    count = len(str(abs(number))) if abs(number) < 10**100 else 100
    return f"{count} digit{'' if count == 1 else 's'}"
