"""`python -m hourmark.first_secrets FOLDER`: makes the secrets of a new installation, once. What is there is never changed.

For installations on one machine, where nobody hands secrets in. Each stands in a file of its own, for settings that end in `_FILE`.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Final

NAMES: Final = (
    "postgres_password",
    "write_key",
    "admin_token",
    "dedup_secret",
    "minio_user",
    "minio_password",
    "grafana_password",
    "canary_key",
)
MINIO: Final = {"endpoint": "http://minio:9000", "allow_http": "true", "region": "us-east-1"}
DATABASE_URL: Final = "postgresql+psycopg://hourmark:{password}@postgres:5432/hourmark"


def make(folder: Path) -> list[str]:
    """Make what is missing; returns the names of what was made."""
    made = [name for name in NAMES if _write(folder / name, secrets.token_urlsafe(24))]
    derived = {
        "database_url": DATABASE_URL.format(password=(folder / "postgres_password").read_text()),
        "minio_options": json.dumps(
            {
                **MINIO,
                "access_key_id": (folder / "minio_user").read_text(),
                "secret_access_key": (folder / "minio_password").read_text(),
            }
        ),
    }
    return made + [name for name, text in derived.items() if _write(folder / name, text)]


def _write(path: Path, text: str) -> bool:
    """Whole or not at all: a file that is there is complete."""
    if path.exists():
        return False
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)  # of an interrupted run, and perhaps read-only by then
    aside.write_text(text)
    aside.chmod(0o444)  # every service runs as a user of its own; the folder is mounted only where it is needed
    os.replace(aside, path)
    return True


if __name__ == "__main__":
    print("made:", ", ".join(make(Path(sys.argv[1]))) or "nothing, all is there")
