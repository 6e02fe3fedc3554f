"""`hourmark bench`: whatever a benchmark measured becomes one table, one file and one picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import measuring
from cli.failures import Unreachable
from tests.cli.conftest import Command

RESULTS = {
    "dedup": {
        "worker": {"events_per_s": 90.0, "events_per_cpu_s": 80.0, "process_us_per_event": 5.25, "kafka_us_per_event": 1.0},
        "bare": {"events_per_s": 100.0, "events_per_cpu_s": 100.0, "process_us_per_event": 4.0},
    },
    "receiver": {"batch_500": {"rate": 7.0, "cpu_us": 8.0, "ratio_to_bare": 0.25}, "bare": {"rate": 30.0, "cpu_us": 2.0}, "rss_mb": 100},
    "sink": {"sink": {"events_per_s": 10.0, "cpu_us": 20.0, "rss_mb": 300.0}, "bare": {"events_per_s": 50.0, "cpu_us": 2.0}},
    "end_to_end": {"whole": {"events_per_s": 5.0, "cpu_us": 60.0, "kafka_us": 9.0, "kafka_rss_mb": 500.0}, "ratio_to_bare": 0.1},
}


def test_every_measured_way_is_a_line() -> None:
    found = {(row.stage, row.what): row for row in measuring.figures(RESULTS)}
    assert {key: row.ratio for key, row in found.items()} == {
        ("dedup", "worker"): 0.8,
        ("dedup", "bare"): None,
        ("receiver", "batch_500"): 0.25,
        ("receiver", "bare"): None,
        ("sink", "sink"): 0.1,
        ("sink", "bare"): None,
        ("end_to_end", "whole"): 0.1,
    }
    assert found["dedup", "worker"].cpu == "process 5.2, kafka 1.0"
    assert found["end_to_end", "whole"].cpu == "60.0, kafka 9.0"
    assert found["end_to_end", "whole"].rss == "kafka 500"
    assert found["sink", "sink"].rss == "300"


def test_results_are_kept(tmp_path: Path) -> None:
    document, picture = measuring.keep(RESULTS, tmp_path / "bench")
    assert json.loads(document.read_text()) == RESULTS
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHECKOUT", tmp_path)
    with pytest.raises(Unreachable, match="not installed"):
        measuring.measure(["sink"], 1, 0, tmp_path, print)


def test_an_unknown_stage(command: Command) -> None:
    said = command("bench", "sinks")
    assert said.code == 2
    assert "did you mean sink?" in said.err
