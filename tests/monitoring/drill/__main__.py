"""`make alert-drill`. Exit code 0: every alert fired and was over again, every event is accounted for; 1 if not; 3 without Prometheus."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

import pytest

from cli.addresses import home
from cli.failures import UNREACHABLE, exit_code, lines
from cli.output import complain
from hourmark.errors import PlatformError
from local.stopping import signals_as_interrupt

from ..tools import tools
from .run import Asked, list_drills, run

INSIDE = "--inside"
# mounts made in there are seen by nobody else, and gone with the last of its processes
NAMESPACES = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.drill", description="Make every alert fire by its real cause.")
    parser.add_argument("--only", default="", help="only the drills of these alerts, with commas between them")
    parser.add_argument("--list", action="store_true", help="show the drills and end")
    parser.add_argument("--write", action="store_true", help="put the measured table into docs/runbooks/README.md when all went well")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the stack, with its logs")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        return list_drills()
    try:
        tools()
    except pytest.skip.Exception as exc:
        complain([("error", str(exc))])
        return UNREACHABLE
    if not asked.inside:
        _enter_namespace()
    try:
        with signals_as_interrupt():
            only = [name for name in asked.only.split(",") if name]
            return run(Asked(home() / "alert-drill", only, asked.write, asked.keep, asked.inside))
    except PlatformError as exc:
        complain(lines(exc))
        return exit_code(exc)
    except KeyboardInterrupt:
        complain([("error", "broken off; everything is stopped")])
        return 130


def _enter_namespace() -> None:
    """Goes on as a process that may mount a small volume for the lake; returns where the system allows nobody that."""
    for command in NAMESPACES:
        if shutil.which(command[0]) and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            os.execvp(command[0], [*command, sys.executable, "-m", __package__, *sys.argv[1:], INSIDE])


if __name__ == "__main__":
    sys.exit(main())
