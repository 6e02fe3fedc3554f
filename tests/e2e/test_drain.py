"""Asked to stop (SIGTERM) under load: each process ends by itself within its grace, with exit code 0, and costs nobody an event."""

from __future__ import annotations

import signal
import time

import psutil

from hourmark.runtime import GRACE_S
from tests.e2e.platform import Load, Platform, until

ROOMS = ("receiver-1", "dedup-1", "sinks-1", "registry")


def test_one_of_each_is_asked_to_stop_under_load(platform: Platform) -> None:
    event_type = platform.declare("drained", tier="standard")
    written = platform.stack.log("supervisord")
    pids = {process.name: process.pid for process in platform.stack.processes() if process.name in ROOMS}
    with Load(platform, event_type) as load:
        load.flows()
        before = len(written.read_text())
        asked = time.monotonic()
        for name in ROOMS:
            platform.stack.signal(name, signal.SIGTERM)
        until("all of them to be gone", lambda: not any(psutil.pid_exists(pid) for pid in pids.values()))
        took = time.monotonic() - asked
        load.flows(1000)
    said = written.read_text()[before:]
    assert [name for name in ROOMS if f"exited: {name} (exit status 0;" not in said] == [], said
    assert took < GRACE_S, "a process that does not end by itself is ended with another exit code after its grace"
    platform.restored()
    platform.assert_exact(load.ledger)
