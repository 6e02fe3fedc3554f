"""How starts and stops tell what they do: one short line at a time."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """For those who do not want to hear it."""
