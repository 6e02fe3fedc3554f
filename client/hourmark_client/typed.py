"""What generated code (`hourmark gen python`) stands on: the value of a field that was left out, and typed values made plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

__all__ = ["UNSET", "UnsetType", "plain"]


def plain(value: Any) -> Any:
    """Mappings as dicts, sequences as lists, generated records as their payload; everything else as it is."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    to_payload = getattr(value, "to_payload", None)
    return value if to_payload is None else to_payload()
