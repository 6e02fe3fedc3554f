"""Who changes the catalogue, as this machine knows them: what they set, else their name in git, else their name here."""

from __future__ import annotations

import os
import subprocess
from functools import cache

ENVIRONMENT = "HOURMARK_AUTHOR"
LONGEST = 200  # what the registry takes


def author() -> str:
    """A name, or nothing where nobody has one (a container). The registry keeps what it is told; it does not prove it."""
    return (os.environ.get(ENVIRONMENT, "").strip() or _known())[:LONGEST]


@cache
def _known() -> str:
    return _of_git() or _of_system()


def _of_git() -> str:
    try:
        asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=5.0, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return asked.stdout.strip()


def _of_system() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
