"""`hourmark status` where no native stack is, as in containers: all it knows are addresses, and what the platform publishes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hourmark.hours import label
from tests.e2e.platform import Platform, until

WELL, WRONG = 0, 1


class Elsewhere:
    """The command in a process and a folder of its own, and what it said."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        status = platform.stack.status()
        self._folder = folder
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "HOURMARK_HOME": str(folder / "empty"),
            "HOURMARK_KAFKA": status.kafka,
            "HOURMARK_REGISTRY_URL": status.registry,
            "HOURMARK_REDIS_URL": status.redis,
            "HOURMARK_LAKE_URL": Path(status.lake).as_uri(),
            "HOURMARK_CLIENT_RECEIVER_URL": status.receiver,
            "HOURMARK_HOUR_SECONDS": str(status.hour_seconds),
            "HOURMARK_HOUR_ANCHOR": status.hour_anchor,
        }

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "cli", "status", *arguments]
        environ = self._environment | environment
        ran = subprocess.run(command, env=environ, cwd=self._folder, capture_output=True, text=True, timeout=90)
        assert "Traceback" not in ran.stderr
        assert ran.returncode in (WELL, WRONG), ran.stderr
        return ran.returncode, ran.stdout

    def json(self, **environment: str) -> dict[str, Any]:
        code, said = self.run("--json", **environment)
        found: dict[str, Any] = json.loads(said)
        assert found["verdict"]["well"] is (code == WELL)
        return found


@pytest.fixture
def elsewhere(platform: Platform, tmp_path: Path) -> Elsewhere:
    return Elsewhere(platform, tmp_path)


@pytest.fixture
def no_sink(platform: Platform) -> Iterator[None]:
    for name in ("sinks-1", "sinks-2"):
        platform.stack.stop(name)
    yield
    for name in ("sinks-1", "sinks-2"):
        platform.stack.start(name)
    until("the whole stack to be ready again", lambda: platform.stack.status().ready)


def test_it_knows_processes_types_and_hours(platform: Platform, elsewhere: Elsewhere) -> None:
    event_type = platform.declare("elsewhere")
    with platform.http() as client:
        for number in range(7):
            client.send(event_type, {"number": number})
        client.flush(60)
    platform.wait_sealed(event_type)
    wanted = max(manifest["hour"] for manifest in platform.manifests(event_type) if manifest["totals"]["rows"])

    def own() -> dict[str, Any] | None:
        found = elsewhere.json()
        (entry,) = [entry for entry in found["types"] if entry["type"] == event_type]
        return found if (entry["watermark"] or "") > wanted else None

    found = until("status to know the sealed hour", own)
    (entry,) = [entry for entry in found["types"] if entry["type"] == event_type]
    assert (entry["tier"], entry["newest_hour"]["complete"], entry["incomplete"]) == ("debug", True, [])
    assert entry["watermark"] <= label(platform.hour_now() + 1)
    assert entry["seal_delay_seconds"]["last"] >= 0
    assert (entry["stalled"], entry["parked"]) == (False, 0)
    assert {service["name"]: service["ok"] for service in found["services"]} == dict.fromkeys(
        ("receiver", "registry", "kafka", "index", "lake"), True
    )
    live = {node["node"]: node for node in found["nodes"] if node["live"]}
    assert {"receiver-1", "receiver-2", "dedup-1", "dedup-2", "sinks-1", "sinks-2"} <= live.keys()
    assert {node["version"] for node in live.values()} != {""}
    assert all(node["revision"] <= found["revision"] for node in live.values())
    assert found["write_key"] == ""
    assert event_type in elsewhere.run("--all")[1]


@pytest.mark.usefixtures("no_sink")
def test_a_room_without_a_process_is_named(elsewhere: Elsewhere) -> None:
    def told() -> list[str]:
        return [trouble["runbook"] for trouble in elsewhere.json()["verdict"]["troubles"] if "no sink process lives" in trouble["what"]]

    assert until("status to miss the sinks", told) == ["docs/runbooks/process-down.md"]
    code, said = elsewhere.run()
    assert code == WRONG
    assert "no sink process lives" in said


def test_without_a_registry_the_topics_tell(platform: Platform, elsewhere: Elsewhere) -> None:
    event_type = platform.declare("unlisted")
    platform.wait_sealed(event_type)
    found = until("the sealed hours", lambda: _if_sealed(elsewhere.json(HOURMARK_REGISTRY_URL="http://127.0.0.1:9"), event_type))
    assert {node["room"] for node in found["nodes"]} >= {"receiver", "dedup", "sink"}
    assert found["verdict"]["troubles"][0]["what"].startswith("the registry does not answer")


def _if_sealed(found: dict[str, Any], event_type: str) -> dict[str, Any] | None:
    return found if any(entry["type"] == event_type and entry["watermark"] for entry in found["types"]) else None
