"""Every alert can be made to fire by one command: rules, drills and the published table name the same alerts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.monitoring.drill import faster
from tests.monitoring.drill.run import DRILLS, PAGE, cause_of, chosen
from tests.monitoring.test_rules import NAMES, run
from tests.monitoring.tools import RULES


def test_every_alert_has_one_drill() -> None:
    assert sorted(alert for drill in DRILLS for alert in drill.causes) == NAMES


def test_an_alert_without_a_drill_stops_the_command() -> None:
    from cli.failures import WrongInput

    with pytest.raises(WrongInput, match="HourmarkNew"):
        chosen([*NAMES, "HourmarkNew"], [])
    with pytest.raises(WrongInput, match="did you mean HourmarkIndexAway"):
        chosen(NAMES, ["HourmarkIndexAwy"])
    (drill,) = chosen(NAMES, ["HourmarkIndexAway", "HourmarkLagGrowing"])
    assert "HourmarkIndexAway" in drill.causes


def test_what_a_cause_may_bring_is_an_alert() -> None:
    assert {name for drill in DRILLS for name in drill.brings} <= set(NAMES)


def test_the_published_table_tells_the_causes() -> None:
    rows = re.findall(r"(?m)^\| `(Hourmark\w+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|", PAGE.read_text())
    assert {alert: cause for alert, cause in rows if cause != cause_of(alert)} == {}
    assert sorted(alert for alert, _ in rows) == NAMES


def test_only_times_are_made_shorter(tmp_path: Path) -> None:
    alerts = {alert.name: alert for alert in faster.write(RULES, tmp_path)}
    assert sorted(alerts) == NAMES
    for file in sorted(tmp_path.iterdir()):
        run("check", "rules", str(file))
    assert alerts["HourmarkReceiverRefusing"].changes == ("for 3m → 18s", "[2m] → [12s]", "[2m] → [12s]")
    assert alerts["HourmarkNoTraffic"].changes == ("for 10m → 60s", "[30m] → [180s]", "offset 1d → offset 300s", "[30m] → [180s]")


@pytest.mark.parametrize(
    ("shipped", "made"),
    [
        ("rate(a[5m]) > 120", "rate(a[30s]) > 120"),
        ("max_over_time(a[6h:1m] offset 2d)", "max_over_time(a[300s:6s] offset 300s)"),
        ('a{b="c"} > 0', 'a{b="c"} > 0'),
    ],
)
def test_ranges_and_offsets(shipped: str, made: str) -> None:
    assert faster.expression(shipped)[0] == made


def test_what_is_not_understood_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration"):
        faster.expression("rate(a[1h30m])")
