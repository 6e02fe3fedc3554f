"""Containers, with a `docker` that only writes down what it is asked; and what docker/compose.yaml promises of every service."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.compose import FILE, Container, Project, only_one, time_lapse
from cli.failures import Unreachable

ENGINE = """#!/bin/sh
echo "$@" >> "{log}"
env | grep -E '^(HOURMARK|STACK|COMPOSE)_' | sort > "{env}"
case "$*" in
  *"ps --all"*json*) cat "{answer}" ;;
  *State.Pid*) echo 4711 ;;
  *broken*) echo "first line" >&2; echo "no such thing" >&2; exit 17 ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the `docker` of this test leaves `log` and `env`, and reads `answer`."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(ENGINE.format(log=tmp_path / "log", env=tmp_path / "env", answer=tmp_path / "answer"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def project(engine: Path) -> Project:
    return Project("a-test", engine / "place" / "lake", time_lapse(10, "2026-03-01T07"))


def test_only_its_own_settings_reach_it(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_KAFKA", "another.example:9092")
    monkeypatch.setenv("STACK_PORT", "8080")
    monkeypatch.setenv("COMPOSE_PROFILES", "s3")
    made = project(engine)
    made.prepare()
    made.up("--build", scale={"dedup": 2})
    said = dict(line.split("=", 1) for line in (engine / "env").read_text().splitlines())
    ports = [said[name] for name in said if name.endswith("_PORT")]
    assert len(set(ports)) == 5
    assert "8080" not in ports
    assert not {"HOURMARK_KAFKA", "COMPOSE_PROFILES"} & said.keys()
    assert (said["HOURMARK_PROFILE"], said["HOURMARK_HOUR_SECONDS"]) == ("local", "10")
    assert "HOURMARK_HOUR_ANCHOR=2026-03-01T07" in Path(said["STACK_SETTINGS"]).read_text().splitlines()
    assert Path(said["STACK_LAKE"]).is_dir()
    assert "--scale dedup=2 --build" in (engine / "log").read_text()


def test_containers_as_the_engine_tells_them(engine: Path) -> None:
    found = [
        {"Name": "a-test-sink-1", "Service": "sink", "State": "running", "Health": "unhealthy"},
        {"Name": "a-test-kafka-1", "Service": "kafka", "State": "running", "Health": ""},
        {"Name": "a-test-secrets-1", "Service": "secrets", "State": "exited", "Health": ""},
    ]
    (engine / "answer").write_text("".join(json.dumps(line) + "\n" for line in found))
    seen = project(engine).containers()
    assert seen[0] == Container("a-test-kafka-1", "kafka", "running", "")
    assert [container.fine for container in seen] == [True, False, False]


def test_a_kill_comes_from_outside(engine: Path) -> None:
    assert project(engine).kill("a-test-sink-1") == 4711
    assert (engine / "log").read_text().splitlines()[-1].startswith("run --rm --pid host")


def test_what_docker_refuses_is_said_in_its_words(engine: Path) -> None:
    with pytest.raises(Unreachable, match="no such thing") as caught:
        project(engine).compose("broken")
    assert "docker compose -p a-test" in str(caught.value.facts["where"])


def test_without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="no docker here"):
        Project("a-test", tmp_path / "lake", {})


def test_two_at_once_are_refused() -> None:
    held = only_one("hourmark-unit-test")
    with pytest.raises(Unreachable, match="another process"):
        only_one("hourmark-unit-test")
    held.close()
    only_one("hourmark-unit-test").close()


SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "restart" in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    image = service["image"]
    assert ":" in image
    assert "latest" not in image


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" in service])
def test_ours_cannot_do_more_than_they_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert (service["user"] == "0") == (name == "secrets")  # a new volume is root's
    secret = [variable for variable in service.get("environment", {}) if variable.endswith(("_KEY", "_SECRET", "_TOKEN", "_PASSWORD"))]
    assert secret == []
