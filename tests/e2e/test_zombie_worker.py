"""A worker freezes past its session, another one takes over, then it wakes up and goes on: what it still writes changes nothing."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.platform import Load, Platform

PAST_THE_SESSION_S = 13.0  # workers' sessions last 10 s


@pytest.mark.parametrize("process", ["dedup-1", "sinks-1"])
def test_frozen_and_awake_again(platform: Platform, process: str) -> None:
    event_type = platform.declare(f"frozen_{process.partition('-')[0]}", tier="standard")
    with Load(platform, event_type, per_second=1000) as load:
        load.flows()
        platform.stack.signal(process, signal.SIGSTOP)
        try:
            time.sleep(PAST_THE_SESSION_S)
        finally:
            platform.stack.signal(process, signal.SIGCONT)
        load.flows(1000)
    platform.restored()
    platform.assert_exact(load.ledger)
