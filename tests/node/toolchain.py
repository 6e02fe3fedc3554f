"""Node.js and the npm packages of this folder, for tests of what JavaScript programs do with the platform.

Node.js comes as a Python package, the npm packages by the lock file beside this, installed once per lock into a folder of the checkout.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
CACHE: Final = HERE.parents[1] / ".hourmark" / "npm"
INSTALL_S: Final = 300
STRICT: Final = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "noImplicitOverride": True,
    "noUnusedLocals": True,
    "target": "ES2022",
    "module": "NodeNext",
    "lib": ["ES2022", "DOM"],
    "types": ["node"],
}


class Node(NamedTuple):
    """`program`: path of node. `modules`: the installed node_modules."""

    program: str
    modules: Path

    def project(self, folder: Path) -> None:
        """Make a folder one from which scripts find the packages."""
        (folder / "package.json").write_text('{"type": "module"}')
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(self.modules)

    def compile(self, folder: Path, sources: Iterable[Path]) -> None:
        """Copy these TypeScript files into the folder and compile them there, strictly. Raises AssertionError with the compiler's words."""
        self.project(folder)
        for source in sources:
            if source.parent != folder:
                shutil.copy(source, folder)
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": STRICT, "include": ["*.ts"]}))
        done = self.run(str(self.modules / "typescript/bin/tsc"), cwd=folder, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str, cwd: Path, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run node to its end, two minutes at most."""
        return subprocess.run([self.program, *arguments], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=check)


def node() -> Node:
    """Installs what is missing. Raises CalledProcessError with npm's words."""
    programs = Path(sys.executable).parent
    digest = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    where = CACHE / digest
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes, one installation
        if not (where / ".complete").exists():
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir()
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HERE / name, where)
            path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
            environment = {**os.environ, "PATH": path}
            subprocess.run([str(programs / "npm"), "ci"], cwd=where, env=environment, timeout=INSTALL_S, check=True, capture_output=True)
            (where / ".complete").touch()
    return Node(str(programs / "node"), where / "node_modules")
