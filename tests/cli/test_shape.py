"""What `hourmark bench types` makes of its measurements."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import measuring, shape
from cli.bench import bench
from cli.failures import WrongInput

RESULT: dict[str, Any] = {
    "shape": {"types": 600, "partitions": 4, "busy": 0.1, "rate": 1500},
    "start_up_s": 7.0,
    "declare": {"seconds": 20.0, "applied_s": 22.5},
    "empty_cpu": {"kafka": 5.0, "dedup-1": 0.7},
    "idle_cpu": {"kafka": 9.0, "dedup-1": 3.26},
    "busy_cpu": {"kafka": 40.0, "dedup-1": 12.0},
    "rss_mb": {"kafka": 1200.0, "dedup-1": 150.0},
    "rss_mb_before": {"kafka": 380.0, "dedup-1": 98.0},
    "kb_per_type": {"kafka": 1400.0, "dedup-1": 87.0},
    "seal": {"all idle": {"p50_s": 4.0, "p99_s": 6.04, "last_s": 6.1}},
    "one_more": {"declared_s": 0.2, "flows_s": 1.25},
}


def test_the_tables_show_every_process_and_the_file_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def measured(types: int, tell: Callable[[str], None]) -> dict[str, Any]:
        asked.append(types)
        return RESULT

    monkeypatch.setattr(measuring, "benchmark", {"types": measured}.__getitem__)
    shape.show(600, tmp_path, as_json=False)
    said = capsys.readouterr().out
    assert asked == [600]
    for found in ("600 event types of 4 partitions; 10% get 1,500 events/s", "dedup-1", "3.3", "6.0", "all idle", "22.5", "1.25"):
        assert found in said
    (document,) = tmp_path.glob("*-types.json")
    assert json.loads(document.read_text()) == RESULT


def test_the_shape_is_measured_alone() -> None:
    with pytest.raises(WrongInput, match="no stage types"):
        bench(["types", "sink"])
