"""The id index comes back empty under load: workers refuse, `hourmark dedup rebuild` puts the claims back, nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.platform import Load, Platform, until

WORKERS = ("dedup-1", "dedup-2")


def start_rebuild(platform: Platform) -> subprocess.Popen[str]:
    """`hourmark dedup rebuild --json`, as a user of this home runs it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "dedup", "rebuild", "--json"],
        env={**environment, "HOURMARK_HOME": str(platform.stack.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def restored(progress: Path) -> int:
    try:
        return int(json.loads(progress.read_text())["restored"])
    except (OSError, ValueError):
        return 0


def rebuild_killed_once(platform: Platform) -> dict[str, int]:
    """The second run's document."""
    progress = platform.stack.home / "rebuild-index.json"
    first = start_rebuild(platform)
    until("the rebuild to be under way", lambda: restored(progress) or first.poll() is not None)
    first.kill()
    said, complaint = first.communicate()
    assert first.returncode == -9, said + complaint
    second = start_rebuild(platform)
    said, complaint = second.communicate(timeout=90)
    assert second.returncode == 0, complaint
    assert not progress.exists()
    found: dict[str, int] = json.loads(said)
    return found


def test_emptied_under_load_refused_and_rebuilt(platform: Platform) -> None:
    stack = platform.stack
    event_type = platform.declare("index_lost", tier="standard")
    with Load(platform, event_type) as load:
        until("two sealed hours with events", lambda: sum(m["totals"]["rows"] > 0 for m in platform.manifests(event_type)) >= 2)
        before = list(load.ledger.acknowledged)
        sealed = sum(m["totals"]["rows"] for m in platform.manifests(event_type))
        stack.stop("valkey")
        shutil.rmtree(stack.home / "valkey" / "data")
        (stack.home / "valkey" / "data").mkdir()
        stack.start("valkey")
        for worker in WORKERS:
            until(f"{worker} to refuse", lambda worker=worker: "index_lost" in stack.log(worker).read_text())
        assert "hourmark dedup rebuild" in stack.log(WORKERS[0]).read_text()
        until("status to say so", lambda: any(process.stuck for process in stack.status().processes))
        with platform.http() as http:
            for number, event_id in enumerate(before):
                http.send(event_type, {"number": number}, event_id=event_id, on_verdict=load.ledger.copy)
            assert http.flush(60)
        load.ledger.copies_sent = len(before)
        for worker in WORKERS:
            stack.stop(worker)
        done = rebuild_killed_once(platform)
        for worker in WORKERS:
            stack.start(worker)
        load.flows(500)
    platform.restored()
    account = platform.assert_exact(load.ledger)
    assert account.removed >= len(before)
    assert 0 < done["before"] < done["restored"]
    assert done["restored"] >= sealed  # of what was acknowledged some may still wait in the raw topic, unclaimed
    again = start_rebuild(platform)
    _, complaint = again.communicate(timeout=90)
    assert again.returncode == 1
    assert "nothing to rebuild" in complaint
