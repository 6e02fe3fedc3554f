"""The `hourmark` command: reads the arguments, runs one command, and turns what comes out into an exit code."""

import sys

from .app import run


def main() -> None:
    """Exit codes: 0 fine, 1 the answer is no, 2 wrong input, 3 something unreachable."""
    sys.exit(run())


if __name__ == "__main__":
    main()
