"""Finds the newest seal of a type without reading the names of years of them: hours are sealed in order, and the newest is recent."""

from __future__ import annotations

from typing import Final

from hourmark.hours import label, parse_label

from . import layout
from .store import Store

LOOK_BACK: Final = 48  # hours; a page of an object store's listing holds 1,000 names


def newest_seal(store: Store, event_type: str, now_hour: int) -> int | None:
    """The newest hour that has been decided about, None when there is none. One listing of two days in the usual case."""
    folder = layout.seals(event_type)
    names = store.names(folder, f"{label(now_hour - LOOK_BACK)}.json") or store.names(folder)
    return parse_label(names[-1].removesuffix(".json")) if names else None
