"""How a panel's values look in Grafana: units, colours, words, columns, links. Whatever is not said here would be Grafana's own default."""

from __future__ import annotations

from typing import Any

from .panels import Panel

STATES = {
    0: ("empty", "light-blue"),
    1: ("sealed", "green"),
    2: ("late", "yellow"),
    3: ("incomplete", "purple"),
    4: ("overdue", "red"),
}
SEVERITIES = {"critical": "red", "warning": "orange", "info": "blue"}
TYPE_PAGE = "/d/hourmark-event-type?var-event_type={}&${{__url_time_range}}"
COUNTED_BELOW_ZERO = "overdue_seconds"


def fields(panel: Panel) -> dict[str, Any]:
    """`fieldConfig`."""
    return {"defaults": _defaults(panel), "overrides": _overrides(panel)}


def _defaults(panel: Panel) -> dict[str, Any]:
    # Without thresholds of our own, Grafana turns red whatever is above 80.
    steps = [
        {"color": "green" if panel.steps else "text", "value": None},
        *({"color": colour, "value": value} for value, colour in panel.steps),
    ]
    coloured = panel.kind in ("stat", "table", "bargauge")
    found: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if coloured else "palette-classic"},
    }
    if panel.kind != "table" and not any(COUNTED_BELOW_ZERO in expression for expression, _ in panel.queries):
        found["min"] = 0
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    if panel.none:
        found["noValue"] = panel.none
    if panel.words:
        found["mappings"] = [_mapping({value: {"text": text} for value, text in panel.words})]
    if _counts_states(panel):
        found["mappings"] = [_mapping({"0": {"text": "0", "color": "text"}})]  # none is no reason for a colour
    if panel.states:
        found["mappings"] = [_mapping({str(state): {"text": text, "color": colour} for state, (text, colour) in STATES.items()})]
        found["color"] = {"mode": "fixed", "fixedColor": "text"}
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "bars" if panel.bars else "line",
            "lineWidth": 1,
            "fillOpacity": 60 if panel.bars else 8,
            "showPoints": "auto" if panel.bars else "never",
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
    if any("{{event_type}}" in legend for _, legend in panel.queries) and panel.kind != "table":
        found["links"] = [_link("${__field.labels.event_type}")]
    return found


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    found = []
    if panel.right:
        legend, unit = panel.right
        found.append(_override(legend, {"unit": unit, "custom.axisPlacement": "right"}))
    for label, heading in panel.columns:
        if label == "event_type":
            found.append(_override(heading, {"links": [_link("${__value.raw}")]}))
        if label == "severity":
            options = {name: {"text": name, "color": colour} for name, colour in SEVERITIES.items()}
            found.append(_override(heading, {"mappings": [_mapping(options)], "custom.cellOptions": {"type": "color-text"}}))
    if panel.pages:
        _, heading = panel.columns[-1]
        found.append(_override(heading, {"mappings": [_mapping({value: {"text": page} for value, page in panel.pages})]}))
    if _counts_states(panel):
        found += [_override(text, {"color": {"mode": "fixed", "fixedColor": colour}}) for text, colour in STATES.values()]
    return found


def _counts_states(panel: Panel) -> bool:
    return [legend for _, legend in panel.queries] == [text for text, _ in STATES.values()]


def _override(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _mapping(options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"type": "value", "options": {value: {**shown, "index": place} for place, (value, shown) in enumerate(options.items())}}


def _link(event_type: str) -> dict[str, Any]:
    return {"title": f"Everything about {event_type}", "url": TYPE_PAGE.format(event_type)}
