"""Crash points do nothing unless a test setting arms them, and are refused where events matter."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hourmark import crashpoints
from hourmark.crashpoints import CRASH_AT, FAULTS, POINTS, refuse_in, shifted
from hourmark.errors import SettingsError

ROOT = Path(__file__).parents[2]
PASSES = "from hourmark.crashpoints import crashpoint\nfor n in range(3):\n    print(n, flush=True)\n    crashpoint('dedup.claimed')\n"


def run(code: str, **environ: str) -> tuple[int, str]:
    ran = subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return ran.returncode, ran.stdout


@pytest.mark.parametrize(
    ("crash_at", "passed"), [("dedup.claimed", "0\n"), ("dedup.claimed:2", "0\n1\n"), ("dedup.claimed:9", "0\n1\n2\n"), ("", "0\n1\n2\n")]
)
def test_a_process_dies_when_it_comes_to_its_step(crash_at: str, passed: str) -> None:
    code, said = run(PASSES, **{CRASH_AT: crash_at})
    assert (code, said) == (0 if passed.count("\n") == 3 else -signal.SIGKILL, passed)


def test_one_process_takes_a_step_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "crash").mkdir()
    (tmp_path / "crash" / "dedup.claimed").touch()
    assert run(PASSES, **{FAULTS: str(tmp_path)}) == (-signal.SIGKILL, "0\n")
    assert run(PASSES, **{FAULTS: str(tmp_path)}) == (0, "0\n1\n2\n")


@pytest.mark.parametrize("name", [CRASH_AT, FAULTS])
def test_production_refuses(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "dedup.claimed")
    refuse_in("local")
    with pytest.raises(SettingsError, match=name):
        refuse_in("production")


@pytest.mark.parametrize("wrong", ["dedup.clamed", "dedup.claimed:x", "dedup.claimed:0"])
def test_a_step_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(CRASH_AT, wrong)
    with pytest.raises(SettingsError, match="is no step"):
        refuse_in("local")


def test_a_clock_that_a_file_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashpoints, "CLOCK_LOOK_S", 0.0)
    (tmp_path / "clock").mkdir()
    now = shifted(str(tmp_path), "dedup-1")
    assert abs(now() - time.time()) < 100
    (tmp_path / "clock" / "dedup-1").write_text("-5000")
    assert abs(now() - time.time() + 5000) < 100


def test_the_steps_are_those_in_the_code() -> None:
    rooms = [file for room in ("receiver", "registry", "streams", "sinks", "dedup") for file in (ROOT / room).rglob("*.py")]
    found = [name for file in rooms for name in re.findall(r'crashpoint\("([^"]+)"\)', file.read_text())]
    assert sorted(set(found)) == sorted(POINTS)
