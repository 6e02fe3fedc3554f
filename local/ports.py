"""Ports of local servers. Promises ports that outgoing connections never take; refuses to guess who holds one."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from local.errors import PortTaken

HOST = "127.0.0.1"
LOWEST = 15_000
HIGHEST = 32_700


def is_free(port: int, host: str = HOST) -> bool:
    """True when a server could listen there now. Connections in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: Collection[int] = ()) -> int:
    """A free port below the range of outgoing connections, and not in `taken`.

    The system's own choice (port 0) comes from the range of outgoing connections: a client that keeps dialling a stopped
    server there may be given the server's port as its source and connect to itself, and the server could not come back.
    """
    highest = min(HIGHEST, _first_outgoing() - 1)
    for port in random.sample(range(LOWEST, highest), 500):
        if port not in taken and is_free(port):
            return port
    raise PortTaken(f"no free port found between {LOWEST} and {highest}")


def require_free(port: int, purpose: str) -> None:
    """Raises PortTaken with the name of the holder, where the system tells it."""
    if is_free(port):
        return
    holder = holder_of(port)
    by = f"by {holder}" if holder else "by another program"
    raise PortTaken(f"port {port} for {purpose} is taken {by}; stop it, or set another port (0 picks a free one)", port=port, holder=holder)


def holder_of(port: int) -> str | None:
    """`java (pid 123)`: the program listening on the port, or None when the system does not tell (no rights, or nobody)."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def _first_outgoing() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return HIGHEST + 1
