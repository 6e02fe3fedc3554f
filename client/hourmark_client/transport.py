"""The seam between the client and the ways out: what a transport must be, and what a client tells it."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from .buffer import BatchLimits, Buffer

SDK_NAME: Final = "hourmark-python"
SDK_VERSION: Final = "0.1.0"


class Sender(NamedTuple):
    """Who sends: the part of the envelope that is the same for all events of a client."""

    app: str
    install: str
    sdk: str = SDK_NAME
    sdk_version: str = SDK_VERSION


class Transport(Protocol):
    """One way out. The client calls `start` once (again in a forked child, after `forget`), `stop` once at the end.

    `start` must return at once and begin to `take` from the buffer in threads of its own. It owes every event it took a `settle` or a
    `postpone`, and returns from its threads when `take` gives None. `owns_thread`: is the caller one of those threads? (A callback is.)
    """

    batch: BatchLimits

    def start(self, buffer: Buffer, sender: Sender) -> None: ...

    def stop(self, timeout: float) -> None:
        """The buffer has been stopped: end threads and connections, waiting at most `timeout` seconds."""

    def forget(self) -> None:
        """We are a forked child: drop threads and connections without a byte to the other side, which still talks with the parent."""

    def owns_thread(self) -> bool: ...
