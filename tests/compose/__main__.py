"""Exit code 0 when everything is exact and nothing is left behind, else 1 with what is wrong; 3 without docker."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli.failures import exit_code, lines
from cli.output import console
from hourmark.errors import PlatformError

from .trial import PARTS, USUAL, trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description="Attack the stack in containers under load, then count.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help=f"only these parts, with commas: {', '.join(PARTS)} (else {', '.join(USUAL)})")
    parser.add_argument("--keep", type=Path, help="a folder for the pictures that parts have to show")
    asked = parser.parse_args()
    try:
        return trial(asked.seed, [part for part in asked.only.split(",") if part], asked.keep)
    except PlatformError as exc:
        for label, text in lines(exc):
            console(stderr=True).print(f"{label}: {text}", markup=False)
        return exit_code(exc)


if __name__ == "__main__":
    sys.exit(main())
