"""Commands that the documentation calls tried are those that the compose trial runs."""

from __future__ import annotations

from pathlib import Path

from tests.compose import backup
from tests.compose.procedures import blocks


def test_every_block_that_is_called_tried_is_run() -> None:
    text, found = Path(backup.__file__).read_text(), blocks()
    assert len(found) > 5
    assert [name for name in found if f'"{name}"' not in text] == []
    assert all("$C " in commands for commands in found.values())
