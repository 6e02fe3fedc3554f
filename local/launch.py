"""Starts a program that must not outlive its parent: `python launch.py PROGRAM ARGUMENTS...`. The program replaces this process.

Where the system can (Linux), the kernel kills the program when the parent ends, however it ends. Run by path, with no imports of ours.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call: nobody would tell us
            sys.exit(1)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as exc:
        sys.exit(f"cannot start {sys.argv[1]}: {exc.strerror}")


if __name__ == "__main__":
    main()
