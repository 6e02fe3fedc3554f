"""The commands of the documentation, as they stand there: a block behind `<!-- tried: NAME -->` is run word for word."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from cli.compose import FILE, Project
from cli.failures import Unreachable

DOCS = FILE.parents[1] / "docs"
PAGES = (DOCS / "deploy.md", DOCS / "runbooks" / "kafka-lost.md")
BLOCK = re.compile(r"<!-- tried: (?P<name>[a-z-]+) -->\n```\n(?P<commands>.*?)```\n", re.DOTALL)


def blocks() -> dict[str, str]:
    """Name → commands."""
    return {found["name"]: found["commands"] for page in PAGES for found in BLOCK.finditer(page.read_text())}


def run(project: Project, name: str, folder: Path, timeout: float = 600.0) -> None:
    """The commands of this block, in this folder. Raises Unreachable with their last words."""
    given = {"P": project.name, "C": shlex.join(project.command), "D": f"docker run --rm -v {shlex.quote(str(folder / 'backup'))}:/b"}
    ran = subprocess.run(
        ["bash", "-euc", blocks()[name]], env={**project.environ, **given}, cwd=folder, capture_output=True, text=True, timeout=timeout
    )
    if ran.returncode:
        raise Unreachable("\n".join(ran.stderr.strip().splitlines()[-12:]), where=f"the commands `{name}` of the documentation")
