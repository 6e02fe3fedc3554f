"""Personal fields are never shown by the command line: which they are, and what stands in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

MASK: Final = "***"


def private_of(declaration: Mapping[str, Any]) -> frozenset[str]:
    """Top-level payload fields that a stored declaration protects, or that hold such a field, as on the control topic."""
    fields = (declaration.get("privacy") or {}).get("fields") or {}
    return frozenset(path.split(".")[0] for path, how in fields.items() if isinstance(how, Mapping) and how.get("as"))


def masked(payload: Mapping[str, Any], private: Collection[str]) -> dict[str, Any]:
    """The payload with the mask in place of what is private; null stays null, so that one sees whether there is anything."""
    return {name: MASK if name in private and value is not None else value for name, value in payload.items()}
