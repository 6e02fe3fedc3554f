"""Hours in which nothing came are sealed like any other, and readers find them empty, not missing."""

from __future__ import annotations

import duckdb

from cli.sealed import sealed_folders
from tests.e2e.platform import Platform


def test_a_silent_event_type_has_sealed_hours(platform: Platform) -> None:
    event_type = platform.declare("silent")
    platform.wait_sealed(event_type, platform.hour_now() + 1)
    manifests = platform.manifests(event_type)
    assert len(manifests) >= 2
    assert all(manifest["totals"]["rows"] == 0 and manifest["complete"] and manifest["audit"]["equal"] for manifest in manifests)
    for folder in sealed_folders(platform.lake, event_type):
        found = duckdb.read_parquet(f"{folder}/*.parquet")
        assert found.fetchall() == []
        assert {"_event_id", "_event_time", "number", "text"} <= set(found.columns)
