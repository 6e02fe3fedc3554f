"""A git repository of a test's own, with a folder of declarations."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


class GitFolder:
    """`folder/events` in a repository at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.events = folder / "events"
        self.events.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, cwd: Path | None = None) -> str:
        who = {f"GIT_{role}_{fact}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for fact in ("NAME", "EMAIL")}
        alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(["git", *words], cwd=cwd or self.root, env={**os.environ, **who, **alone}, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "--short=9", "HEAD")

    def declare(self, event: str, *fields: dict[str, Any], file: str = "", **more: Any) -> Path:
        """Writes FILE.yaml and, with one field a line, FILE.avsc."""
        file = file or event
        place = self.events / f"{file}.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"    {json.dumps(field)}" for field in fields or (field("track", "string"),))
        place.with_suffix(".avsc").write_text(f'{{\n  "type": "record", "name": "Payload",\n  "fields": [\n{lines}\n  ]\n}}\n')
        facts = {"event": event, "owner": "team-player", "schema": f"./{place.stem}.avsc", **more}
        place.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in facts.items()))
        return place


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def optional(name: str, kind: Any) -> dict[str, Any]:
    return field(name, ["null", kind], default=None)
