"""Holds a program back while a volume has no room: `python room.py MEGABYTES FOLDER PROGRAM ARGUMENTS...`, which replaces this process.

For Kafka: started on a full disk it may take its own metadata for damaged, and begin anew without any topic. Run by path, imports nothing.
"""

import os
import sys
import time

LOOK_S = 2.0


def main() -> None:
    wanted, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    held = False
    while (free := free_megabytes(folder)) < wanted:
        if not held:
            print(
                f"held back: {folder} has {free} MB free and {wanted} are needed to start; make room, and it starts by itself", flush=True
            )
            held = True
        time.sleep(LOOK_S)
    if held:
        print("there is room: starting", flush=True)
    try:
        os.execvp(command[0], command)
    except OSError as exc:
        sys.exit(f"cannot start {command[0]}: {exc.strerror}")


def free_megabytes(folder: str) -> float:
    """What this user may still write there; without end where nobody knows, for then it is not the room that is missing."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return float("inf")
    return found.f_bavail * found.f_frsize // 1_000_000


if __name__ == "__main__":
    main()
