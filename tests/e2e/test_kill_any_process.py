"""`kill -9` of every process of the platform while events flow: every acknowledged event is in one sealed hour, once."""

from __future__ import annotations

import pytest

from tests.e2e.platform import Load, Platform


@pytest.mark.parametrize("process", ["receiver-1", "registry", "dedup-1", "sinks-1"])
def test_kill(platform: Platform, process: str) -> None:
    event_type = platform.declare(f"killed_{process.partition('-')[0]}", tier="standard")
    with Load(platform, event_type) as load:
        load.flows()
        platform.stack.kill(process)
        load.flows(2000)
        platform.stack.kill(process)
        load.flows(2000)
    platform.restored()
    platform.assert_exact(load.ledger)


def test_kill_all_workers_at_once(platform: Platform) -> None:
    event_type = platform.declare("all_killed", tier="standard")
    with Load(platform, event_type) as load:
        load.flows()
        for process in ("dedup-1", "dedup-2", "sinks-1", "sinks-2", "receiver-2"):
            platform.stack.kill(process)
        load.flows(2000)
    platform.restored()
    platform.assert_exact(load.ledger)
