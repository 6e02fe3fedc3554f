"""Declarations for tests."""

from __future__ import annotations

from typing import Any


def payload(*fields: Any, **more: Any) -> dict[str, Any]:
    """A payload schema; a field is (name, type) or (name, type, default)."""
    found = []
    for field in fields or (("track", "string"),):
        name, kind, *default = field
        found.append({"name": name, "type": kind} | ({"default": default[0]} if default else {}))
    return {"type": "record", "name": "Payload", "fields": found, **more}


def declaration(event: str = "player.song_played", **more: Any) -> dict[str, Any]:
    """A sound declaration; keywords replace its fields."""
    return {"event": event, "owner": "team-player", "tier": "debug", "schema": payload(), **more}
