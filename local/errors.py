"""What can go wrong around local processes. All of it is the world's fault: the text says what to do about it."""

from __future__ import annotations

from pathlib import Path

from hourmark.errors import Unavailable


class ServerUnavailable(Unavailable):
    """A local server cannot be found, fetched or started."""

    code = "server_unavailable"


class PortTaken(Unavailable):
    """A port that was asked for is held by another program; `port` and `holder` are in the facts."""

    code = "port_taken"


class StackUnavailable(Unavailable):
    """The stack as a whole cannot do what was asked: not up, not ready in time, other settings than the running one."""

    code = "stack_unavailable"


def unwritable(home: Path, exc: OSError) -> StackUnavailable:
    """A home on a full, read-only or foreign disk."""
    return StackUnavailable(f"{exc.filename or home} cannot be written ({exc.strerror}); set HOURMARK_HOME to another folder")
