"""The command line as a user has it: arguments in, exit code and both streams out, in a folder of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.app import run


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `hourmark ARGUMENTS…` in an empty folder, without any platform in the environment."""
    for name in [name for name in os.environ if name.startswith("HOURMARK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["hourmark", *arguments])
        capsys.readouterr()
        code = run()
        return Said(code, *capsys.readouterr())

    return call
