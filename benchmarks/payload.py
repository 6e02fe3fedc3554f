"""The event that the benchmarks of the sink and of the whole way send: 250 bytes with its envelope, 17 columns."""

from __future__ import annotations

from typing import Any, Final

PAYLOAD: Final[tuple[dict[str, Any], ...]] = (
    {"name": "user_id", "type": "string"},
    {"name": "track", "type": "string"},
    {"name": "ms_played", "type": "long"},
    {"name": "country", "type": "string"},
    {"name": "premium", "type": "boolean"},
    {"name": "score", "type": ["null", "double"], "default": None},
    {"name": "skips", "type": "int"},
)
PRIVACY: Final[dict[str, Any]] = {"subject": "user_id", "fields": {"user_id": {"as": "pseudonym"}}}
