"""Dashboards in the form in which Grafana provisions them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .capacity import CAPACITY
from .delivery import DELIVERY
from .event_type import EVENT_TYPE
from .overview import OVERVIEW
from .panels import Dashboard, Panel

FOLDER = Path(__file__).parents[2] / "docker" / "grafana"
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
STATES = {
    0: ("empty", "light-blue"),
    1: ("sealed", "green"),
    2: ("late", "yellow"),
    3: ("incomplete", "purple"),
    4: ("overdue", "red"),
}
DASHBOARDS = (OVERVIEW, EVENT_TYPE, DELIVERY, CAPACITY)


def build(dashboard: Dashboard) -> dict[str, Any]:
    """One dashboard as Grafana provisions it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        top, left, tallest = top + 1, 0, 0
        for panel in row:
            if left + panel.width > 24:
                top, left, tallest = top + tallest, 0, 0
            panels.append(_panel(panel, len(panels) + 1, {"x": left, "y": top, "w": panel.width, "h": panel.height}))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["hourmark"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "utc",
        "refresh": "10s",
        "time": {"from": dashboard.since, "to": "now"},
        "links": [{"type": "dashboards", "tags": ["hourmark"], "title": "hourmark", "asDropdown": False, "keepTime": True}],
        "templating": {"list": [_variable()] if dashboard.by_type else []},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind in ("stat", "table", "bargauge")
    targets = [
        {
            "refId": chr(ord("A") + position),
            "datasource": DATASOURCE,
            "expr": expression,
            "legendFormat": legend or "__auto",
            "instant": instant,
            "range": not instant,
            "format": "table" if panel.kind == "table" else "heatmap" if panel.kind == "heatmap" else "time_series",
            **({"interval": "1h"} if panel.kind == "status-history" else {}),
        }
        for position, (expression, legend) in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0} if panel.kind != "table" else {"unit": panel.unit}
    if "overdue" in panel.queries[0][0]:
        defaults.pop("min", None)
    if panel.states:
        options = {str(state): {"text": text, "color": colour, "index": state} for state, (text, colour) in STATES.items()}
        defaults = {"mappings": [{"type": "value", "options": options}], "color": {"mode": "fixed"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background" if panel.states else "value", "textMode": "auto"}
    if panel.kind == "status-history":
        return {"rowHeight": 0.9, "colWidth": 0.95, "showValue": "never", "legend": {"showLegend": True, "displayMode": "list"}}
    if panel.kind == "timeseries":
        return {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {}


def _variable() -> dict[str, Any]:
    query = "label_values(hourmark_sink_due_timestamp_seconds, event_type)"
    return {
        "name": "event_type",
        "label": "Event type",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "types"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def files() -> dict[Path, str]:
    """What should stand in docker/grafana/."""
    return {FOLDER / f"{dashboard.uid}.json": json.dumps(build(dashboard), indent=1, ensure_ascii=False) + "\n" for dashboard in DASHBOARDS}
