"""`python -m hourmark.first_secrets FOLDER`: makes the secrets of a new installation, once. What is there is never changed.

For installations on one machine, where nobody hands secrets in. Each stands in a file of its own, for settings that end in `_FILE`.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("postgres_password", "write_key", "admin_token", "dedup_secret")
DATABASE_URL: Final = "postgresql+psycopg://hourmark:{password}@postgres:5432/hourmark"


def make(folder: Path) -> list[str]:
    """Make what is missing; returns the names of what was made."""
    made = []
    for name in NAMES:
        if _write(folder / name, secrets.token_urlsafe(24)):
            made.append(name)
    if _write(folder / "database_url", DATABASE_URL.format(password=(folder / "postgres_password").read_text())):
        made.append("database_url")
    return made


def _write(path: Path, text: str) -> bool:
    """Whole or not at all: a file that is there is complete."""
    if path.exists():
        return False
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.chmod(0o444)  # every service runs as a user of its own; the folder is mounted only where it is needed
    os.replace(aside, path)
    return True


if __name__ == "__main__":
    print("made:", ", ".join(make(Path(sys.argv[1]))) or "nothing, all is there")
