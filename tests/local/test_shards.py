"""Dedup shards on the native stack: who reads which, and when `up` moves what the workers know."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hourmark.errors import SettingsError
from hourmark.settings import load
from local.errors import StackUnavailable
from local.plan import plan
from local.programs import environment, programs
from local.settings import StackSettings
from local.starting import run_once


def test_shards_are_dealt_out_to_the_workers_in_turn(tmp_path: Path) -> None:
    settings = StackSettings(home=tmp_path, kafka="broker:9092", redis_url="redis://cache:6379/0", dedup_workers=5, dedup_shards=2)
    memory = plan(settings, None, {})
    found = {p.name: p.environment.get("HOURMARK_STREAMS_SHARD") for p in programs(settings, memory, lambda module: [module])}
    assert [found[f"dedup-{number}"] for number in range(1, 6)] == ["0", "1", "0", "1", "0"]
    assert found["sinks-1"] is None
    assert environment(settings, memory)["HOURMARK_STREAMS_SHARDS"] == "2"


def test_more_shards_than_workers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_HOME", str(tmp_path))
    monkeypatch.setenv("HOURMARK_LOCAL_DEDUP_SHARDS", "3")
    with pytest.raises(SettingsError, match="3 shards need as many dedup workers"):
        load(StackSettings)


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "once.log"
    run_once([sys.executable, "-c", "print('fine')"], {}, log)
    with pytest.raises(StackUnavailable, match="no way"):
        run_once([sys.executable, "-c", "raise SystemExit('no way')"], {}, log)
