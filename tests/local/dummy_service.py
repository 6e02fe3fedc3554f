"""Stands in for a service room in tests of the stack: listens where the environment says, answers the health pages, ends at SIGTERM.

`python dummy_service.py ROOM`. With DUMMY_BROKEN=ROOM that room ends at once.
"""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/healthz", "/readyz") else 404)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def main(room: str) -> None:
    if os.environ.get("DUMMY_BROKEN") == room:
        sys.exit(f"{room} cannot start; settings: nonsense")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    for name in (f"HOURMARK_{room.upper()}_LISTEN", "HOURMARK_METRICS_LISTEN"):
        if name in os.environ:
            host, _, port = os.environ[name].rpartition(":")
            threading.Thread(target=Server((host, int(port)), Page).serve_forever, daemon=True).start()
    print(room, "started", os.getpid(), os.environ["HOURMARK_NODE"], os.environ["HOURMARK_KAFKA"], flush=True)
    stopped.wait()
    print(room, "stopped", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
