"""A little lake on disk, as a sink would have left it, for tests that read one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hourmark.hours import folder, label


def add_hour(
    lake: Path, event_type: str, hour: int, rows: Sequence[dict[str, Any]], *, duplicates: int = 0, delay: float = 1.0, equal: bool = True
) -> Path:
    """A sealed hour. `rows` need an `_event_id`; an empty hour has a file with this one column."""
    place = lake / "events" / event_type / folder(hour)
    place.mkdir(parents=True)
    table = pa.Table.from_pylist(list(rows)) if rows else pa.table({"_event_id": pa.array([], pa.string())})
    pq.write_table(table, place / "part-00000-0123abcd.parquet")
    manifest = {
        "type": event_type,
        "hour": label(hour),
        "complete": equal,
        "sealed_at": _moment(hour, delay),
        "totals": {"rows": len(rows), "consumed": len(rows) + duplicates, "duplicates": duplicates, "rejected": 0, "skewed": 0},
        "audit": {"equal": equal, "delta": 0 if equal else 1},
    }
    (place / "_manifest.json").write_text(json.dumps(manifest))
    (place / "_SUCCESS").touch()
    return place


def _moment(hour: int, delay: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp((hour + 1) * 3600 + delay, UTC).isoformat()
