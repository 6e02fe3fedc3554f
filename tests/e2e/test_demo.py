"""The demo itself, shortened: its own stack beside the one of these tests, kills included. Its exit code is the balance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_demo_balances(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--events", "20000", "--hour-seconds", "4", "--json"],
        env={"HOURMARK_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["balances"]
    assert {account["event_type"] for account in found["types"]} == {"flight.departed", "flight.arrived", "weather.observed"}
    assert (tmp_path / "home" / "demo" / "flights.png").exists()
