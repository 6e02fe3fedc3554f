"""What `hourmark bench propagation` and `bench catalogue` make of their measurements, and what `declare --wait` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import measuring, propagation, spread
from cli.bench import bench
from cli.failures import WrongInput

TIMES = {"p50_ms": 12.4, "p99_ms": 345.6, "max_ms": 400.0}
SPREAD: dict[str, Any] = {
    "shape": {"declarations": 200, "rate": 2000, "receivers": 3},
    "late": 1,
    "new": {"topics": TIMES, "accepted": None},
    "changed": {"accepted": TIMES},
}
CATALOGUE: dict[str, Any] = {
    "shape": {"types": 10_000, "fields": 12},
    "list": {"all ms": 87.5},
    "node_start": {"with_snapshot": {"disk_s": 0.25}, "receiver_ready_s": 1.5},
}


@pytest.mark.parametrize(
    ("stage", "result", "shown"),
    [
        ("propagation", SPREAD, ["declarations 200, rate 2,000, receivers 3; 1 late", "topics", "12", "346", "400", "changed"]),
        ("catalogue", CATALOGUE, ["types 10,000", "all ms", "87.50", "with snapshot: disk s", "0.25", "receiver ready s", "1.50"]),
    ],
)
def test_tables_and_the_file(
    stage: str,
    result: dict[str, Any],
    shown: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measured(tell: Callable[[str], None]) -> dict[str, Any]:
        return result

    monkeypatch.setattr(measuring, "benchmark", {stage: measured}.__getitem__)
    spread.show(stage, tmp_path, as_json=False)
    said = capsys.readouterr().out
    for found in shown:
        assert found in said
    (document,) = tmp_path.glob(f"*-{stage}.json")
    assert json.loads(document.read_text()) == result


def test_they_are_measured_alone() -> None:
    with pytest.raises(WrongInput, match="no stage propagation"):
        bench(["propagation", "sink"])


def test_stages_in_words() -> None:
    answer: dict[str, Any] = {
        "revision": 45,
        "stages": [{"stage": "topics", "ms": 41.26}, {"stage": "receiver", "applied": 3, "of": 3, "ms": 60.0}],
        "behind": [
            {"node": "dedup-1", "room": "streams", "revision": 41, "reason": ""},
            {"node": "receiver-2", "room": "receiver", "revision": 44, "reason": "wire schema 9 cannot be used"},
        ],
    }
    assert propagation.line(answer["stages"][0]).split() == ["topics", "ready", "41.3", "ms"]
    assert propagation.summary(answer) == "topics ready 41 ms → receiver 3/3 60 ms"
    assert propagation.behind(answer) == [
        "dedup-1 (streams) is at revision 41, not yet at 45",
        "receiver-2 (receiver) is at revision 44, not yet at 45: wire schema 9 cannot be used",
    ]
