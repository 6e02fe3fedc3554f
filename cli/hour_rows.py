"""What `hours` and `status` show of an event type: its sealed hours, and those that have begun and are not sealed yet."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from hourmark.errors import SettingsError
from hourmark.hours import label, parse_folder
from sinks.lake import open_store
from sinks.store import Store
from sinks.watermarks import hours as known_hours
from sinks.watermarks import types, watermark

from .addresses import Addresses
from .failures import Unreachable, WrongInput, did_you_mean


class HourRow(NamedTuple):
    """One hour. `rows` of an open one: those written so far; the rest is None until the seal, `delay_seconds` after the hour's end."""

    hour: str
    state: str
    rows: int
    duplicates: int | None = None
    skewed: int | None = None
    delay_seconds: float | None = None
    complete: bool | None = None

    @property
    def delay_text(self) -> str:
        return "-" if self.delay_seconds is None else f"{self.delay_seconds:.1f} s"

    @property
    def audit(self) -> str:
        return "-" if self.complete is None else "equal" if self.complete else "NOT EQUAL"


def store_of(at: Addresses) -> Store:
    """The lake, local or in an object store. Raises WrongInput for an address that is none, Unreachable for a folder that is not there."""
    try:
        store = open_store(at.lake if "://" in at.lake else at.lake_path.as_uri())
    except SettingsError as exc:
        raise WrongInput("; ".join(exc.faults), where=at.lake) from exc
    if at.lake.startswith(("/", "file:")) and not at.lake_path.is_dir():
        raise Unreachable("there is no lake", where=at.lake, remedy="start the platform with `hourmark up`, or try `hourmark demo`")
    return store


def require_type(store: Store, at: Addresses, event_type: str) -> None:
    """Raises WrongInput when the lake has nothing of this event type."""
    known = types(store)
    if event_type not in known:
        raise WrongInput(
            f"the lake has no hour of {event_type}{did_you_mean(event_type, known)}",
            where=at.lake,
            remedy="`hourmark events` lists what is declared; an hour is sealed soon after its end",
        )


def of_type(at: Addresses, event_type: str, last: int) -> list[HourRow]:
    """The newest `last` sealed hours and as many open ones, oldest first. Raises WrongInput when the lake does not know the type."""
    store = store_of(at)
    require_type(store, at, event_type)
    found = known_hours(store, event_type, last)
    rows = {r.hour: HourRow(r.label, r.state, r.rows, r.duplicates, r.skewed, r.seal_delay, r.complete) for r in found}
    for hour in open_hours(store, at, event_type)[-max(last, 1) :]:
        rows.setdefault(hour, HourRow(label(hour), "open", 0))
    return [row for _, row in sorted(rows.items())]


def open_hours(store: Store, at: Addresses, event_type: str) -> range:
    """Hours after the newest sealed one that have begun; only the present one when none is sealed."""
    current = at.hours.of(int(time.time() * 1000))
    newest = watermark(store, event_type)
    return range((current if newest is None else newest + 1), current + 1)


def hour_of(folder: Path) -> int:
    """Hour number of an hour's folder."""
    return parse_folder(f"{folder.parent.name}/{folder.name}")


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed hour."""
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found
