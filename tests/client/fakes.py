"""A transport that settles when told to, and waiting for conditions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hourmark_client.buffer import BatchLimits, Buffer
from hourmark_client.notices import Held
from hourmark_client.transport import Sender
from hourmark_client.verdicts import STORED, Outcome


class FakeTransport:
    """Takes batches in a thread. Settles them as stored once `open` is set."""

    def __init__(self, *, is_open: bool = True, batch: BatchLimits | None = None) -> None:
        self.batch = batch or BatchLimits(linger=0.0)
        self.open = threading.Event()
        if is_open:
            self.open.set()
        self.taken: list[list[Held]] = []
        self.senders: list[Sender] = []
        self.thread: threading.Thread | None = None

    def start(self, buffer: Buffer, sender: Sender) -> None:
        self.senders.append(sender)
        self.thread = threading.Thread(target=self._run, args=(buffer,), daemon=True)
        self.thread.start()

    def stop(self, timeout: float) -> None:
        self.open.set()

    def forget(self) -> None:
        self.thread = None
        self.taken = []

    def owns_thread(self) -> bool:
        return threading.current_thread() is self.thread

    def _run(self, buffer: Buffer) -> None:
        while (batch := buffer.take()) is not None:
            self.taken.append(batch)
            self.open.wait()
            for held in batch:
                held.attempt = 1
            buffer.settle([(held, Outcome(STORED, 0, 1)) for held in batch])


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait for a condition, with a generous deadline."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)
