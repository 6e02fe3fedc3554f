"""`python -m hourmark.probe [HOST:PORT]`: is the service in this container ready? Exit code 0 or 1. Standard library: it runs often."""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final

TIMEOUT_S: Final = 3.0


def ready(listen: str) -> tuple[bool, str]:
    """Ask /readyz of a service whose HOURMARK_METRICS_LISTEN this is; returns its answer, or why there is none."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        return False, f"HOURMARK_METRICS_LISTEN is {listen!r}: there is no page to ask"
    connection = http.client.HTTPConnection("127.0.0.1" if host in ("", "0.0.0.0") else host, int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == 200, answer.read(500).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as exc:
        return False, f"no answer on {listen}: {exc}"
    finally:
        connection.close()


def main() -> int:
    """The container's verdict, with a line of explanation for `docker inspect`."""
    fine, said = ready(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HOURMARK_METRICS_LISTEN", ""))
    print(said)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
