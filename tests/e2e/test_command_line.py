"""A user's session at the command line against the running stack: declare, look, send, follow, wait, ask, prove."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml

from tests.e2e.platform import SCHEMA, Platform

ANY = None  # exit code: what other tests have left behind may be wrong


@pytest.fixture
def hourmark(platform: Platform, tmp_path: Path) -> Hourmark:
    return Hourmark({"HOURMARK_HOME": str(platform.stack.home), "PATH": "/usr/bin:/bin"}, tmp_path)


class Hourmark:
    """The command in a process of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder = environment, folder

    def __call__(self, *arguments: str, code: int | None = 0, stdin: str = "") -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=self._environment,
            cwd=self._folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert code in (ANY, ran.returncode), ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stdout or ran.stderr


def test_a_session(platform: Platform, hourmark: Hourmark, tmp_path: Path) -> None:
    event_type = f"t{uuid.uuid4().hex[:8]}.session"
    file = tmp_path / "session.yaml"
    file.write_text(yaml.safe_dump({"event": event_type, "owner": "tests", "description": "A session.", "tier": "debug", "schema": SCHEMA}))
    (declared,) = json.loads(hourmark("declare", str(file), "--wait", "--json"))
    assert (declared["event"], declared["waited"]) == (event_type, "complete")
    assert event_type in hourmark("events")
    assert "number" in hourmark("events", event_type)
    sent = json.loads(hourmark("send", event_type, '{"number": 1}', "--json"))
    assert sent["verdict"] == "stored"
    hourmark("send", event_type, "--stdin", stdin='{"number": 2, "text": "two"}\n\n{"number": 3}\n')
    refused = json.loads(hourmark("send", event_type, '{"number": "four"}', "--json", code=1))
    assert (refused["verdict"], refused["code"], refused["path"]) == ("rejected", "schema_mismatch", "/payload/number")
    tailed = [
        json.loads(line)
        for line in hourmark("tail", event_type, "--only", "accepted", "--from-start", "-n", "3", "--for", "60", "--json").splitlines()
    ]
    assert sorted(line["event"]["number"] for line in tailed) == [1, 2, 3]
    refused = json.loads(hourmark("tail", event_type, "--rejected", "--from-start", "-n", "1", "--for", "60", "--json"))
    assert refused["code"] == "schema_mismatch"
    platform.wait_sealed(event_type)
    sealed = [hour for hour in json.loads(hourmark("hours", event_type, "--json"))["hours"] if hour["state"] == "sealed"]
    assert sum(hour["rows"] for hour in sealed) == 3
    assert json.loads(hourmark("query", f'SELECT sum(number) AS total FROM "{event_type}"', "--json")) == [{"total": 6}]
    assert "2" in hourmark("query", f'SELECT number FROM "{event_type}" ORDER BY 1')
    hourmark("fsck", event_type)


def test_status_has_the_contract_s_shape(platform: Platform, hourmark: Hourmark) -> None:
    event_type = platform.declare("listed")
    platform.wait_sealed(event_type)
    found = json.loads(hourmark("status", "--json", code=ANY))
    assert set(found) == {
        "receiver",
        "registry",
        "kafka",
        "redis",
        "lake",
        "hour_seconds",
        "write_key",
        "processes",
        "types",
        "parked_at_most",
        "services",
        "revision",
        "nodes",
        "rejected",
        "recent_seconds",
        "verdict",
    }
    assert {frozenset(process) for process in found["processes"]} == {frozenset({"name", "pid", "state"})}
    (own,) = [entry for entry in found["types"] if entry["type"] == event_type]
    assert {"type", "watermark", "open_hours", "lag", "seal_delay_seconds", "blocked_by"} <= set(own)
    assert own["watermark"] is not None
    assert event_type in hourmark("status", "--all", code=ANY)


def test_mistakes(platform: Platform, hourmark: Hourmark) -> None:
    event_type = platform.declare("mistaken")
    wrong = event_type[:-1]
    for arguments in (("events", wrong), ("tail", wrong), ("hours", wrong)):
        assert f"did you mean {event_type}?" in hourmark(*arguments, code=2)
    assert "no process" in hourmark("logs", "recever", code=2)


def test_logs_of_one_kind(hourmark: Hourmark) -> None:
    said = hourmark("logs", "receiver", "-n", "5")
    assert "receiver-1" in said
    assert "registry" not in {line.split()[0] for line in said.splitlines() if line}
