"""docs/metrics.md says what the code shows."""

import runpy
from pathlib import Path

from prometheus_client import REGISTRY

ROOT = Path(__file__).parents[2]
FOUND = runpy.run_path(str(ROOT / "docs" / "metrics.py"))
BOUNDED = {"event_type", "tier", "partition", "hour", "code", "reason", "kind", "stage", "outcome"}  # by what is declared, or by this code
BOUNDED |= {"room", "version", "broker", "path", "route", "method", "status"}


def test_the_metrics_page_is_current() -> None:
    assert FOUND["page"]() == (ROOT / "docs" / "metrics.md").read_text(), "run: python docs/metrics.py"


def test_every_metric_of_ours_stands_there() -> None:
    told = {row.name for rows in FOUND["rows"]().values() for row in rows}
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in REGISTRY.collect()}
    assert {name for name in shown if name.startswith("hourmark_")} <= told
    assert len(told) > 70


def test_every_metric_says_what_it_means_and_its_labels_are_bounded() -> None:
    for row in (row for rows in FOUND["rows"]().values() for row in rows):
        assert row.name.startswith("hourmark_")
        assert len(row.meaning.split()) >= 3, f"{row.name}: {row.meaning!r} is too short to help"
        assert set(row.labels) <= BOUNDED, row.name
