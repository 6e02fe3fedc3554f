"""Every alert can be made to fire by one command: rules, drills and the published table name the same alerts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.failures import WrongInput
from tests.monitoring.drill import faster
from tests.monitoring.drill.run import DRILLS, PAGE, cause_of, chosen
from tests.monitoring.drill.scene import Drill, Scene
from tests.monitoring.test_rules import NAMES, run
from tests.monitoring.tools import RULES


def test_every_alert_has_one_drill() -> None:
    assert sorted(alert for drill in DRILLS for alert in drill.causes) == NAMES


def test_an_alert_without_a_drill_stops_the_command() -> None:
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


class Alarms:
    """A Prometheus and a platform at once. What fires is what `on` says; the platform is always well."""

    def __init__(self) -> None:
        self.on: dict[str, str] = {}
        self.stack, self.ready = self, True

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        said = {"summary": "s", "description": "d"}
        return {name: [{"labels": {"severity": severity}, "annotations": said}] for name, severity in self.on.items()}

    def status(self) -> Alarms:
        return self


def played(act: Callable[[Scene, Alarms], None], brings: frozenset[str] = frozenset()) -> Scene:
    """The scene of a drill of the alert A, at its end."""
    alarms: Any = Alarms()
    scene = Scene(alarms, alarms, Drill({"A": "a cause"}, lambda scene: act(scene, alarms), brings), lambda _line: None)
    scene.play()
    return scene


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRES_S", "OVER_S", "LOOK_S"):
        monkeypatch.setattr(f"tests.monitoring.drill.scene.{name}", 0.01)


def causes(scene: Scene, alarms: Alarms, also: str = "") -> None:
    alarms.on = dict.fromkeys(filter(None, ("A", also)), "critical")
    scene.later(alarms.on.clear)


def test_fired_and_over() -> None:
    scene = played(causes)
    assert scene.seen["A"].wrong == ""
    assert scene.seen["A"].fired is not None
    assert scene.seen["A"].over is not None
    assert scene.unexpected() == []


@pytest.mark.usefixtures("impatient")
def test_an_alert_that_does_not_fire_or_stays_is_wrong() -> None:
    assert "did not fire" in played(lambda _scene, _alarms: None).seen["A"].wrong
    assert "still fires" in played(lambda _scene, alarms: alarms.on.update(A="warning")).seen["A"].wrong


@pytest.mark.usefixtures("impatient")
def test_a_platform_that_does_not_come_back_is_wrong() -> None:
    def deadly(scene: Scene, alarms: Alarms) -> None:
        causes(scene, alarms)
        alarms.ready = False

    assert "the stack is ready" in played(deadly).seen["A"].wrong


@pytest.mark.usefixtures("impatient")
def test_a_drill_that_breaks_off_is_wrong_and_healed() -> None:
    healed: list[bool] = []

    def broken(scene: Scene, _alarms: Alarms) -> None:
        scene.later(lambda: healed.append(True))
        scene.until("what never comes", lambda: False, 0.01)

    assert "what never comes" in played(broken).seen["A"].wrong
    assert healed == [True]


def test_other_critical_alerts_must_be_expected() -> None:
    def both(scene: Scene, alarms: Alarms) -> None:
        causes(scene, alarms, "B")

    assert played(both).unexpected() == ["B"]
    assert played(both, frozenset({"B"})).unexpected() == []
