"""What `hours` shows: the sealed hours of an event type from their manifests, and the hours that have begun and are not sealed yet."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hourmark.hours import Hours, label, parse_folder

from . import sealed
from .addresses import Addresses
from .failures import WrongInput, did_you_mean


@dataclass(frozen=True)
class HourRow:
    """One hour. Counts and `delay_seconds` (from the hour's end to its seal) are None while it is open."""

    hour: str
    state: str
    rows: int | None = None
    duplicates: int | None = None
    rejected: int | None = None
    skewed: int | None = None
    delay_seconds: float | None = None
    audit_equal: bool | None = None

    @property
    def delay_text(self) -> str:
        return "-" if self.delay_seconds is None else f"{self.delay_seconds:.1f} s"

    @property
    def audit(self) -> str:
        return "-" if self.audit_equal is None else "equal" if self.audit_equal else "NOT EQUAL"

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def of_type(at: Addresses, event_type: str, now: float | None = None) -> list[HourRow]:
    """Oldest first. Raises WrongInput when the lake does not know the type."""
    known = sealed.event_types(at.lake_path)
    if event_type not in known:
        raise WrongInput(
            f"no hour of {event_type} is sealed yet, or there is no such event type{did_you_mean(event_type, known)}",
            where=str(at.lake_path),
            remedy="`hourmark events` lists what is declared; an hour is sealed soon after its end",
        )
    rows = [_sealed(folder, at.hours) for folder in sealed.sealed_folders(at.lake_path, event_type)]
    return rows + [HourRow(label(hour), "open") for hour in open_hours(at, event_type, now)]


def open_hours(at: Addresses, event_type: str, now: float | None = None) -> range:
    """Hours after the newest sealed one that have begun; only the present one when none is sealed."""
    current = at.hours.of(int((time.time() if now is None else now) * 1000))
    folders = sealed.sealed_folders(at.lake_path, event_type)
    newest = hour_of(folders[-1]) if folders else current - 1
    return range(newest + 1, current + 1)


def hour_of(folder: Path) -> int:
    """Hour number of an hour's folder."""
    return parse_folder(f"{folder.parent.name}/{folder.name}")


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed hour."""
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found


def delay_of(manifest: dict[str, Any], hour: int, hours: Hours) -> float:
    """Seconds from the hour's end to its seal."""
    return datetime.fromisoformat(manifest["sealed_at"]).timestamp() - hours.end_ms(hour) / 1000


def _sealed(folder: Path, hours: Hours) -> HourRow:
    manifest, hour = manifest_of(folder), hour_of(folder)
    totals = manifest["totals"]
    return HourRow(
        hour=label(hour),
        state="sealed" if manifest.get("complete", True) else "sealed, incomplete",
        rows=totals["rows"],
        duplicates=totals["duplicates"],
        rejected=totals["rejected"],
        skewed=totals["skewed"],
        delay_seconds=delay_of(manifest, hour, hours),
        audit_equal=manifest["audit"]["equal"],
    )
