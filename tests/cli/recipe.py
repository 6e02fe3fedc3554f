"""The CI recipe of docs/git-workflow.md, as its reader would run it: its own lines, in a shell, with `hourmark` on the path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "git-workflow.md").read_text()


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def step(job: str) -> str:
    """The shell lines of this job's step of the same name."""
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    [found] = [one["run"] for one in yaml.safe_load(text)["jobs"][job]["steps"] if one.get("name") == job]
    return str(found)


def by_hand() -> str:
    """The shell lines for any other CI."""
    [text] = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    return str(text)


def shell(lines: str, folder: Path, **more: str) -> Ran:
    """As GitHub runs a step: `bash -e`, in the clone, without any of our settings but those given."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "hourmark"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli "$@"\n')
    program.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HOURMARK_", "GITHUB_", "GIT_"))}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {**plain, "PYTHONPATH": str(ROOT), "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, **more}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", lines], cwd=folder, env=environment, capture_output=True, check=False, text=True
    )
    return Ran(done.returncode, done.stdout, done.stderr)
