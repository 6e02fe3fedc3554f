"""The command line of somebody who looks after a secured platform: any user of the broker, the operator at first."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command
from tests.secured.platform import SecuredPlatform


class Operator:
    """The command line with the operator's user."""

    def __init__(self, platform: SecuredPlatform, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        self._platform, self._command, self._monkeypatch = platform, command, monkeypatch
        self.become("hourmark-operator")

    def become(self, user: str) -> None:
        options = self._platform.home / "command.options.json"
        options.write_text(json.dumps(self._platform.broker.options(user)))
        home = {"HOURMARK_HOME": str(self._platform.home / "command")}
        for name, value in (self._platform.settings(options) | home).items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str) -> str:
        said = self._command(*arguments)
        assert said.code == 0, said
        return said.out
