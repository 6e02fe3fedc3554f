"""The dashboards in docker/grafana/ are those of docs/dashboards, whole, and ask only for what somebody shows."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.test_rules import known_names, names_in

ROOT = Path(__file__).parents[2]
FOUND = runpy.run_module("docs.dashboards.grafana")
FILES: dict[Path, str] = FOUND["files"]()
DASHBOARDS: list[dict[str, Any]] = [json.loads(text) for text in FILES.values()]


def test_the_files_are_current() -> None:
    standing = {file: file.read_text() for file in sorted((ROOT / "docker" / "grafana").glob("*.json"))}
    assert standing == FILES, "run: python -m docs.dashboards"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=[dashboard["uid"] for dashboard in DASHBOARDS])
def test_a_dashboard_is_well_laid_out(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    asked = {name for expression in expressions for name in names_in(expression)}
    assert asked - known_names() == set()
    assert len(asked) > 5
