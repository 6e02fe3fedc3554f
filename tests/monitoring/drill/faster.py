"""The shipped rules with their times made shorter, by code, so that an alert can be seen in minutes. Nothing else of a rule is touched.

Every `for:`, range and offset is a tenth of what is shipped, and five minutes at most. Thresholds stay, those in seconds too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FACTOR = 10
LONGEST_S = 300
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DURATION = re.compile(r"\d+[smhdw]")
SPANS = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")


class Alert(NamedTuple):
    """As shipped; `changes`: what was made shorter, `for 3m → 18s`."""

    name: str
    severity: str
    runbook: str
    shipped_for: str
    changes: tuple[str, ...]


def shorter(duration: str) -> str:
    """`3m` → `18s`. Raises ValueError for what is no plain duration."""
    if not DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is no duration that can be made shorter; teach tests/monitoring/drill/faster.py")
    seconds = int(duration[:-1]) * UNITS_S[duration[-1]] / FACTOR
    return f"{max(1, min(LONGEST_S, round(seconds)))}s"


def expression(shipped: str) -> tuple[str, list[str]]:
    """With every range and offset shorter, and what was changed."""
    changes: list[str] = []

    def span(found: re.Match[str]) -> str:
        text = found[0]
        parts = text[1:-1].split(":") if text[0] == "[" else text.split()[1:]
        made = [shorter(part) for part in parts]
        new = f"[{':'.join(made)}]" if text[0] == "[" else f"offset {made[0]}"
        changes.append(f"{text} → {new}")
        return new

    return SPANS.sub(span, shipped), changes


def rule(shipped: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A recording or alert rule, shorter, and what was changed."""
    expr, changes = expression(shipped["expr"])
    made = {**shipped, "expr": expr}
    for name in ("for", "keep_firing_for"):
        if name in shipped:
            made[name] = shorter(str(shipped[name]))
            changes.insert(0, f"{name} {shipped[name]} → {made[name]}")
    return made, changes


def write(folder: Path, target: Path) -> list[Alert]:
    """Every `*.rules.yml` of `folder`, shorter, into `target`; its alerts in order."""
    alerts: list[Alert] = []
    for file in sorted(folder.glob("*.rules.yml")):
        document = yaml.safe_load(file.read_text())
        for group in document["groups"]:
            for number, shipped in enumerate(group["rules"]):
                group["rules"][number], changes = rule(shipped)
                if "alert" in shipped:
                    alerts.append(_alert(shipped, changes))
        (target / file.name).write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return alerts


def _alert(shipped: dict[str, Any], changes: list[str]) -> Alert:
    severity = shipped["labels"]["severity"]
    return Alert(
        shipped["alert"],
        "by tier" if "$labels.tier" in severity else severity,
        Path(shipped["annotations"]["runbook"]).name,
        str(shipped.get("for", "at once")),
        tuple(changes),
    )
