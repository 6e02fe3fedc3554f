"""The dashboards in docker/grafana/ are those of docs/dashboards, fit Grafana's own types, and ask only for what is shown."""

from __future__ import annotations

import json
import runpy
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.monitoring.test_rules import known_names, names_in

ROOT = Path(__file__).parents[2]
FOUND = runpy.run_module("docs.dashboards.grafana")
FILES: dict[Path, str] = FOUND["files"]()
DASHBOARDS: list[dict[str, Any]] = [json.loads(text) for text in FILES.values()]
IDS = [dashboard["uid"] for dashboard in DASHBOARDS]
MODELS = "grafana_foundation_sdk.models."
register_default_plugins()  # the options of each kind of panel, not only what all have in common


def lost(ours: Any, theirs: Any, at: str = "") -> Iterator[str]:
    """Where something of ours is missing or another in what Grafana's model made of it. It may add its defaults."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{at}.{key}") if key in theirs else [f"{at}.{key} is unknown"]
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), at
        for place, value in enumerate(ours):
            yield from lost(value, theirs[place], f"{at}[{place}]")
    elif ours != theirs:
        yield f"{at}: {ours!r} became {theirs!r}"


def misfits(value: Any, hint: Any, at: str) -> Iterator[str]:
    """Where a value is not of its declared type. Lists and the model's own objects are looked through whatever is declared."""
    kind, inside = typing.get_origin(hint), typing.get_args(hint)
    if type(value).__module__.startswith(MODELS) and not isinstance(value, Enum):
        for name, wanted in typing.get_type_hints(type(value)).items():
            yield from misfits(getattr(value, name), wanted, f"{at}.{name}")
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from misfits(one, inside[0] if kind is list else object, f"{at}[{place}]")
    elif kind in (typing.Union, types.UnionType):
        if all(any(misfits(value, one, at)) for one in inside):
            yield f"{at}: {value!r} is none of {inside}"
    elif kind is typing.Literal:
        yield from [] if value in inside else [f"{at}: {value!r} is not in {inside}"]
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from [] if value in [one.value for one in hint] else [f"{at}: {value!r} is no {hint.__name__}"]
    elif isinstance(hint, type) and hint is not object:
        fits = isinstance(value, (int, float) if hint is float else hint)
        yield from [] if fits else [f"{at}: {value!r} is no {hint.__name__}"]


def panels_of(kind: str) -> list[dict[str, Any]]:
    return [panel for dashboard in DASHBOARDS for panel in dashboard["panels"] if panel["type"] == kind]


def test_the_files_are_current() -> None:
    standing = {file: file.read_text() for file in sorted((ROOT / "docker" / "grafana").glob("*.json"))}
    assert standing == FILES, "run: python -m docs.dashboards"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
def test_grafanas_own_types_hold_all_of_it(dashboard: dict[str, Any]) -> None:
    model = Dashboard.from_json(dashboard)
    assert list(misfits(model, Dashboard, dashboard["uid"])) == []
    assert list(lost(dashboard, json.loads(JSONEncoder().encode(model)))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("panels", 1, "options", "graphmode"), "area"),
        (("panels", 1, "options", "graphMode"), "mountain"),
        (("panels", 1, "fieldConfig", "defaults", "treshold"), {}),
        (("panels", 1, "gridPos", "w"), "wide"),
        (("panels", 1, "fieldConfig", "defaults", "color", "mode"), "bright"),
        (("templating", "list", 0, "type"), "database"),
        (("refesh",), "10s"),
    ],
    ids=lambda given: given[-1] if isinstance(given, tuple) else "",
)
def test_a_slip_is_found(path: tuple[str | int, ...], value: Any) -> None:
    dashboard: Any = json.loads(next(iter(FILES.values())))
    place = dashboard
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    model = Dashboard.from_json(dashboard)
    assert [*misfits(model, Dashboard, ""), *lost(dashboard, json.loads(JSONEncoder().encode(model)))] != []


def test_every_unit_is_one_that_grafana_has() -> None:
    known = {value for name, value in vars(units).items() if name[0] != "_" and isinstance(value, str)}
    used = {panel["fieldConfig"]["defaults"]["unit"] for dashboard in DASHBOARDS for panel in dashboard["panels"] if "fieldConfig" in panel}
    assert len(used) > 5
    assert used - known == set()


def test_numbers_turn_red_only_where_it_is_said() -> None:
    """Where nothing is said, Grafana turns every value red that is above 80."""
    stats = panels_of("stat")
    assert len(stats) > 10
    assert all(panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None for panel in stats)


def test_the_data_source_is_the_one_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((ROOT / "docker/config/grafana/datasources/prometheus.yaml").read_text())["datasources"][0]
    for dashboard in DASHBOARDS:
        chosen = next(variable for variable in dashboard["templating"]["list"] if variable["name"] == "datasource")
        assert chosen["current"] == {"text": provisioned["name"], "value": provisioned["uid"]}
        assert {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel.get("targets", ())} == {"${datasource}"}


def test_links_lead_to_dashboards_that_are_there() -> None:
    links = [
        link["url"]
        for dashboard in DASHBOARDS
        for panel in dashboard["panels"]
        for link in panel.get("fieldConfig", {}).get("defaults", {}).get("links", ())
    ]
    assert links
    assert {link.split("/d/")[1].split("?")[0] for link in links} <= set(IDS)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=IDS)
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
