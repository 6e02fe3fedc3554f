"""The README's commands are run as they stand there, against the running stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.platform import Platform

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def environment(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A shell in which `hourmark` is this one and finds this stack."""
    place = tmp_path_factory.mktemp("readme")
    declaration = next(block for block in blocks("yaml") if "player.song_played" in block)
    (place / "song_played.yaml").write_text(declaration)
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOURMARK_HOME": str(platform.stack.home),
        "HOME": str(place),
        "PWD": str(place),
    }


def shell(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-ec", command], env=environment, cwd=environment["PWD"], capture_output=True, text=True, timeout=90)


def block_with(text: str, language: str = "sh") -> str:
    return next(block for block in blocks(language) if text in block)


def test_declare_and_send_with_curl_and_read(platform: Platform, environment: dict[str, str]) -> None:
    declared = shell(block_with("hourmark declare"), environment)
    assert declared.returncode == 0, declared.stderr
    sent = shell(block_with("curl"), environment)
    assert sent.returncode == 0, sent.stderr
    verdicts = json.loads(sent.stdout)["results"]
    assert [verdict["verdict"] for verdict in verdicts.values()] == ["stored"]
    platform.wait_sealed("player.song_played")
    asked = shell(block_with("hourmark query") + "\nhourmark hours player.song_played", environment)
    assert asked.returncode == 0, asked.stderr
    assert "Blue in Green" in asked.stdout
    assert "sealed" in asked.stdout


def test_send_from_python(platform: Platform, environment: dict[str, str]) -> None:
    example = (
        block_with("Client.http", "python").replace("http://127.0.0.1:8080", platform.receiver).replace('"..."', repr(platform.write_key))
    )
    ran = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
