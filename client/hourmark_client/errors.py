"""What a caller can get raised. Everything that happens to an event after `send` returned arrives as a verdict, never as an exception.

ClientError
├ InvalidEvent     the call is wrong: nothing was accepted, a retry with the same arguments fails again
├ BufferFull       no room within the time given: nothing was accepted, try later
├ ClientClosed     sent after close
├ Undelivered      close ran out of time: so many events have no final verdict
└ RegistryProblem  the registry cannot be asked or answers nonsense (Kafka transport and reader)
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of everything this package raises on purpose."""


class InvalidEvent(ClientError, ValueError):
    """The event cannot be sent as it is. `path` names the place, like `/payload/ms_played`."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class BufferFull(ClientError):
    """The buffer holds as many bytes as it may; the event was not accepted."""


class ClientClosed(ClientError):
    """The client was closed; the event was not accepted."""


class Undelivered(ClientError):
    """`close` ran out of time. `count` events have no final verdict; each callback was told `undelivered`."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} events were not delivered before the deadline of close()")
        self.count = count


class RegistryProblem(ClientError):
    """The registry did not answer, or its answer cannot be used. `status` is the HTTP status, or 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
