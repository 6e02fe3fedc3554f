"""docs/tutorial.md from an empty folder on: every command as it stands there, on a stack with nothing declared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TEXT = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"```sh( refused)?\n(.*?)```", TEXT, re.DOTALL)


class Shell:
    """Runs a block in a folder of its own, in which `hourmark` is this one. The install step is what has happened already."""

    def __init__(self, folder: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
        self._environment = {**inherited, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": "/tmp"}
        self._folder = folder

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        command = command.replace("make install && . .venv/bin/activate\n", "")
        return subprocess.run(
            ["bash", "-ec", command], env=self._environment, cwd=self._folder, capture_output=True, text=True, timeout=300
        )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.run("hourmark down")


def test_every_command_does_what_the_text_says(shell: Shell) -> None:
    said = []
    for refused, block in BLOCKS:
        ran = shell.run(block)
        assert ran.returncode == (1 if refused else 0), f"{block}\n{ran.stdout}\n{ran.stderr}"
        said.append(ran.stdout + ran.stderr)
    up, new, declared, seen, queried, plan, changed, early, _down = said
    assert "nothing is declared" in up
    assert "personal data" in new
    for stage in ("receiver", "dedup", "sink"):
        assert re.search(rf"{stage}.*\d+ ms", declared), declared
    assert "u-17" not in seen, "tail must mask personal fields"
    assert '"***"' in seen
    assert "deduplicated" in seen
    assert "Blue in Green" in queried
    assert "open" in queried
    assert "ms_played" in plan
    assert "narrowed" in plan
    assert "songs people heard" in changed
    assert "shuffle" in changed
    assert "player.album_liked" in early
    assert "Kind of Blue" in early
