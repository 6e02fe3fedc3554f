"""Which raw records became clean ones: one raw partition beside its clean partition, read side by side. Pure, and bounded by its caller.

Dedup workers write a clean partition in raw order, so a raw record that something behind it has overtaken on clean was not forwarded.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")


class Join(Generic[T]):
    """Give it the records of both logs as they come; it gives back the raw ones that dedup did not forward, in raw order.

    `start`: raw is read from this offset on. `trusted` False: clean is not known from there on (retention took its beginning), so raw
    records before the first clean one are judged by nobody. The caller pauses raw while too much is `held`, and clean while too many are
    `ahead`; never both are at once.
    """

    def __init__(self, start: int, source: int = 1, *, trusted: bool = True) -> None:
        self._start, self._source = start, source
        self._floor = start if trusted else None
        self._waiting: OrderedDict[int, tuple[T, int]] = OrderedDict()  # a dict forgets slowly where its first one is
        self._ahead: set[int] = set()
        self._mark = (0, -1)
        self.held = 0

    @property
    def waiting(self) -> int:
        """Raw records that nothing is known of yet."""
        return len(self._waiting)

    @property
    def ahead(self) -> int:
        """Forwarded records whose raw ones have not been read yet."""
        return len(self._ahead)

    def raw(self, offset: int, record: T, size: int) -> list[T]:
        """An event on raw, of `size` bytes. Returns it when it is known not to have been forwarded."""
        if offset in self._ahead:
            self._ahead.discard(offset)
            return []
        if (self._source, offset) <= self._mark:
            return [record] if self._floor is not None and offset >= self._floor else []
        self._waiting[offset] = record, size
        self.held += size
        return []

    def clean(self, source: int, offset: int, *, barrier: bool = False) -> tuple[bool, list[T]]:
        """A record on clean that came from this raw offset. False: a repeat, seen before. With it, what it has overtaken."""
        if (source, offset) <= self._mark:
            return False, []
        self._mark = source, offset
        if self._floor is None:
            self._floor = offset
            self._overtaken(offset)  # whatever became of these stood before
        if self._take(offset) is None and not barrier and offset >= self._start:
            self._ahead.add(offset)
        return True, self._overtaken(offset)

    def passed(self, offset: int) -> list[T]:
        """Dedup has settled everything below this raw offset, and clean has been read up to where it stood then."""
        return [] if self._floor is None else self._overtaken(offset)

    def _overtaken(self, offset: int) -> list[T]:
        if not self._waiting or next(iter(self._waiting)) >= offset:
            return []
        older = list(takewhile(lambda one: one < offset, self._waiting))  # they wait in the order of their offsets
        return [record for one in older if (record := self._take(one)) is not None]

    def _take(self, offset: int) -> T | None:
        found = self._waiting.pop(offset, None)
        if found is None:
            return None
        self.held -= found[1]
        return found[0]
