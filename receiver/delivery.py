"""The records of one `publish`, and what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hourmark.errors import PlatformError

Headers = list[tuple[str, str | bytes | None]]
Record = tuple[str, bytes, bytes | None, int, Headers | None]  # topic, value, key, partition, headers


class Delivery:
    """What became of the records of one `publish`, by their position there."""

    __slots__ = ("_done", "append_ms", "failure", "left", "offsets", "oversize", "records", "started")

    def __init__(self, count: int, done: Callable[[Delivery], None]) -> None:
        self.offsets = [-1] * count  # -1: not stored, as far as is known
        self.append_ms = [0] * count  # the broker's LogAppendTime
        self.failure: PlatformError | None = None
        self.oversize: set[int] = set()  # positions of records that their topic will never take
        self.records: Sequence[Record] = ()
        self.left = count
        self.started = time.perf_counter()
        self._done = done

    def stored(self, index: int, offset: int, append_ms: int) -> None:
        self.offsets[index] = offset
        self.append_ms[index] = append_ms
        self.left -= 1
        if not self.left:
            self._done(self)

    def failed(self, failure: PlatformError) -> None:
        self.failure = failure
        self.left -= 1
        if not self.left:
            self._done(self)

    def too_large(self, index: int) -> None:
        self.oversize.add(index)
        self.left -= 1
        if not self.left:
            self._done(self)
