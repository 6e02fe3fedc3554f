"""The claims of the last seconds, in mappings of their own, so that what is forgotten goes back to the system.

On the heap, blocks that live for seconds between records that live for moments keep it from shrinking: 80 bytes a claim instead of 24.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from mmap import mmap
from typing import Final, NamedTuple

from .index import Claims

MOST_BYTES: Final = 96 * 1024 * 1024
_MAPPED_BYTES: Final = 1024 * 1024


class _Kept(NamedTuple):
    at: float
    append_ms: int
    times: Sequence[int]
    mapped: mmap
    place: slice


class RecentClaims:
    """Claims by the time they were made, oldest first; a mapping ends with the last of its claims. At most 96 MB: the newest stay."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._mapped: mmap | None = None
        self._end = 0

    def __iter__(self) -> Iterator[Claims]:
        return (Claims(kept.append_ms, kept.mapped[kept.place], kept.times) for kept in self._kept)

    def add(self, at: float, claims: Claims) -> None:
        size = len(claims.records)
        if self._mapped is None or self._end + size > len(self._mapped):
            self._mapped, self._end = mmap(-1, max(size, _MAPPED_BYTES)), 0
        place = slice(self._end, self._end + size)
        self._mapped[place] = claims.records
        self._end = place.stop
        self._kept.append(_Kept(at, claims.append_ms, claims.times, self._mapped, place))
        self._bytes += size

    def forget(self, before: float) -> None:
        while self._kept and (self._kept[0].at < before or self._bytes > MOST_BYTES):
            place = self._kept.popleft().place
            self._bytes -= place.stop - place.start
        if not self._kept:
            self._mapped = None
