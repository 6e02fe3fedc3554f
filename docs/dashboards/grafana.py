"""Dashboards in the form in which Grafana provisions them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .capacity import CAPACITY
from .delivery import DELIVERY
from .event_type import EVENT_TYPE
from .fields import fields
from .overview import OVERVIEW
from .panels import Dashboard, Panel

FOLDER = Path(__file__).parents[2] / "docker" / "grafana"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
LEGEND = {"showLegend": True, "displayMode": "list", "placement": "bottom"}
FORMATS = {"table": "table", "bargauge": "heatmap"}  # of buckets: one by one, in order
DASHBOARDS = (OVERVIEW, EVENT_TYPE, DELIVERY, CAPACITY)


def build(dashboard: Dashboard) -> dict[str, Any]:
    """One dashboard as Grafana provisions it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        top, left, tallest = top + 1, 0, 0
        for panel in row if len(row) != 4 else [panel._replace(width=6) for panel in row]:  # four fill a row too
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
        "graphTooltip": 1,  # one moment in all panels
        "refresh": dashboard.refresh,
        "time": {"from": dashboard.since, "to": "now"},
        "links": [
            {"type": "dashboards", "tags": ["hourmark"], "title": "hourmark", "asDropdown": False, "keepTime": True},
            {"type": "link", "title": "Alert rules", "url": "/alerting/list?search=hourmark", "icon": "bolt", "tags": []},
        ],
        "templating": {"list": _variables(dashboard)},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    found = {"id": number, "type": panel.kind, "title": panel.title, "description": panel.says, "gridPos": place}
    if panel.kind == "text":
        return {**found, "options": {"mode": "markdown", "content": panel.says}, "description": "", "transparent": True}
    found |= {
        "datasource": DATASOURCE,
        "targets": [_target(panel, number, *query) for number, query in enumerate(panel.queries)],
        "fieldConfig": fields(panel),
        "options": _options(panel),
    }
    if panel.columns:
        names = [label for label, _ in panel.columns]
        places = {label: place for place, label in enumerate(names)}
        found["transformations"] = [
            {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
            {"id": "organize", "options": {"indexByName": places, "renameByName": dict(panel.columns)}},
        ]
    return found


def _target(panel: Panel, number: int, expression: str, legend: str) -> dict[str, Any]:
    instant = panel.kind in ("stat", "table", "bargauge") and not panel.trend
    return {
        "refId": chr(ord("A") + number),
        "datasource": DATASOURCE,
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": FORMATS.get(panel.kind, "time_series"),
        **(
            {"interval": "$column"} if panel.kind == "status-history" else {"interval": "1m"} if panel.bars else {}
        ),  # bars: each counted once
    }


def _options(panel: Panel) -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        filled = panel.states or panel.steps
        return {
            "reduceOptions": reduced,
            "colorMode": "background" if filled else "value",
            "graphMode": "area" if panel.trend else "none",
            "textMode": "value_and_name" if len(panel.queries) > 1 else "auto",
        }
    if panel.kind == "bargauge":
        return {"reduceOptions": reduced, "orientation": "horizontal", "displayMode": "basic"}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    if panel.kind == "status-history":
        return {"rowHeight": 0.9, "colWidth": 0.95, "showValue": "never", "perPage": 25, "legend": LEGEND}
    return {"legend": {**LEGEND, "calcs": ["lastNotNull"]}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": "Prometheus", "value": "prometheus"},
        }
    ]
    if dashboard.by_type:
        query = "label_values(hourmark_sink_due_timestamp_seconds, event_type)"
        found.append(
            {
                "name": "event_type",
                "label": "Event type",
                "type": "query",
                "datasource": DATASOURCE,
                "query": {"query": query, "refId": "types"},
                "definition": query,
                "refresh": 2,  # whenever the time changes: types come and go
                "sort": 1,
            }
        )
    if dashboard.columns_of:
        first, choices = dashboard.columns_of[0], dashboard.columns_of
        found.append(
            {
                "name": "column",
                "label": "A column is",
                "type": "custom",
                "query": ",".join(choices),
                "current": {"text": first, "value": first},
                "options": [{"text": choice, "value": choice, "selected": choice == first} for choice in choices],
            }
        )
    return found


def files() -> dict[Path, str]:
    """What should stand in docker/grafana/."""
    return {FOLDER / f"{dashboard.uid}.json": json.dumps(build(dashboard), indent=1, ensure_ascii=False) + "\n" for dashboard in DASHBOARDS}
