"""A short storm: a dozen faults of every kind against a stack of its own, then the account by id. Its exit code is the account."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.storm.faults import FAULTS

SEED = 13
QUICK = [fault.name for fault in FAULTS if fault.name not in ("kill_everything", "index_emptied")]  # those take a quarter of a minute each


def test_a_short_storm(tmp_path: Path) -> None:
    arguments = ["storm", "--rounds", "14", "--seed", str(SEED), "--hour-seconds", "4", "--only", ",".join(QUICK)]
    ran = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={"HOURMARK_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=290,
    )
    print(ran.stdout)  # the faults in their order, when it fails
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr
    assert "Exact:" in ran.stdout
    assert not (tmp_path / "home" / "storm").exists()
