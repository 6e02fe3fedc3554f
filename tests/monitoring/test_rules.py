"""The alert rules: right in form by promtool, firing when they should by its unit tests, and each with a page that says what to do."""

from __future__ import annotations

import re
import runpy
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.monitoring.tools import RULES, tools

ROOT = RULES.parents[1]
FILE = RULES / "hourmark.rules.yml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
NAMES = sorted(alert["alert"] for alert in ALERTS)


@cache
def known_names() -> set[str]:
    """Every series that our processes show, with those of the client library that rules use."""
    rows = runpy.run_path(str(ROOT / "docs" / "metrics.py"))["rows"]()
    found = {"process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes", "up", *RECORDED}
    for row in (row for rows_of_room in rows.values() for row in rows_of_room):
        found |= {row.name + end for end in ("_bucket", "_sum", "_count")} if row.kind == "histogram" else {row.name}
    return found


def names_in(expression: str) -> set[str]:
    """What looks like a metric of ours, or of a recording rule."""
    return set(re.findall(r"\b(?:hourmark[_:]|process_)[\w:]+", expression))


def run(*arguments: str) -> None:
    done = subprocess.run([str(tools().promtool), *arguments], cwd=RULES, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    run("check", "rules", FILE.name)


def test_alerts_fire_when_they_should_and_not_before() -> None:
    run("test", "rules", "hourmark.test.yml")


def test_the_order_of_all_groups_is_said() -> None:
    """Promtool takes those that are not named in any order, and alerts then see what was recorded a minute before."""
    assert yaml.safe_load((RULES / "hourmark.test.yml").read_text())["group_eval_order"] == [group["name"] for group in GROUPS]


def test_every_alert_has_a_unit_test() -> None:
    tests = yaml.safe_load((RULES / "hourmark.test.yml").read_text())["tests"]
    asked = [case for test in tests for case in test.get("alert_rule_test", ())]
    fired = {case["alertname"] for case in asked if case.get("exp_alerts")}
    assert sorted(fired) == NAMES


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_an_alert_says_how_bad_what_and_what_to_do(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert {"summary", "description", "runbook"} <= said.keys()
    assert alert["labels"]["severity"] in ("critical", "warning", "info") or "$labels.tier" in alert["labels"]["severity"]
    page = (ROOT / said["runbook"]).read_text()
    assert alert["alert"] in page, f"{said['runbook']} does not speak of {alert['alert']}"
    for part in ("## It means", "## Look", "## Do"):
        assert part in page, f"{said['runbook']} has no part {part!r}"


def test_the_list_of_runbooks_is_the_list_of_alerts() -> None:
    listed = re.findall(r"^\| `(Hourmark\w+)`", (ROOT / "docs" / "runbooks" / "README.md").read_text(), re.M)
    assert sorted(listed) == NAMES


def test_rules_ask_only_for_what_somebody_shows() -> None:
    used = {name for group in GROUPS for rule in group["rules"] for name in names_in(rule["expr"])}
    assert used - known_names() == set()
    assert len(used) > 20
