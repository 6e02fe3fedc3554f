"""What waits in one partition of `parked`: an index by event type in bounded memory, with nothing of the events themselves.

Beyond a number of types that nobody has declared, further ones are known only together (`others`): a sender that makes up names costs no
memory. When one of them is declared its events are looked for from the first of `others` on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hourmark.parked import Replayed

TYPES_MAX: Final = 10_000
_BLOCK: Final = 12  # bits: unsettled events are counted by blocks of 4,096 offsets


@dataclass(slots=True)
class Line:
    """Unsettled events lie from `first` to `last`. `first_ms`: append time of the first, ms since 1970."""

    first: int
    last: int
    first_ms: int


class Waiting:
    """One owner uses it. `position`: offset up to which everything has been seen; -1 before anything was."""

    def __init__(self, done: Mapping[str, Replayed], most: int = TYPES_MAX) -> None:
        self.done = dict(done)
        self.position = -1
        self.lines: dict[str, Line] = {}
        self.others: Line | None = None
        self._most = most
        self._counts: Counter[int] = Counter()

    def saw(self, offset: int, event_type: str, at_ms: int, live: bool) -> bool:
        """The next record of the partition. True when its type has a line of its own."""
        self.position = offset + 1
        if not event_type or offset < self.settled_below(event_type):
            return False
        self._counts[offset >> _BLOCK] += 1
        line = self.lines.get(event_type)
        if line is not None:
            line.last = offset
            return True
        if live or (self.others is None and len(self.lines) < self._most):
            self.lines[event_type] = Line(offset, offset, at_ms)
            return True
        if self.others is None:
            self.others = Line(offset, offset, at_ms)
        self.others.last = offset
        return False

    def look_among_others(self, event_type: str) -> None:
        """A type that has become live may be one of those that are known only together."""
        if self.others is not None and event_type not in self.lines and self.settled_below(event_type) <= self.others.last:
            self.lines[event_type] = Line(self.others.first, self.others.last, self.others.first_ms)

    def settled_below(self, event_type: str) -> int:
        progress = self.done.get(event_type)
        return 0 if progress is None else progress.next

    def settled(self, progress: Iterable[Replayed], offsets: Iterable[int]) -> None:
        """These events have been replayed, and this is written down."""
        self.done.update((one.type, one) for one in progress)
        for offset in offsets:
            block = offset >> _BLOCK
            self._counts[block] -= 1
            if self._counts[block] <= 0:
                del self._counts[block]

    def searched(self, event_types: Iterable[str], upto: int, at_ms: int = 0) -> None:
        """Nothing of these types is unsettled below the offset `upto`, where the log is of `at_ms`."""
        for name in event_types:
            line = self.lines.get(name)
            if line is not None:
                line.first, line.first_ms = max(line.first, upto), max(line.first_ms, at_ms)
                if line.last < upto:
                    del self.lines[name]

    def expired(self, low: int, low_ms: int) -> int:
        """The log starts at `low` now, with nothing older than `low_ms`. Returns how many events went unreplayed, to within a block."""
        gone = sum(self._counts.pop(block) for block in [block for block in self._counts if block < low >> _BLOCK])
        for name, line in [*self.lines.items(), ("", self.others)]:
            if line is None or line.first >= low:
                continue
            line.first, line.first_ms = low, max(line.first_ms, low_ms)
            if line.last < low:
                if name:
                    del self.lines[name]
                else:
                    self.others = None
        return gone

    @property
    def total(self) -> int:
        return self._counts.total()

    @property
    def frontier(self) -> int:
        """Everything below this offset is settled, or gone; -1 when nothing is known yet."""
        lines = [*self.lines.values(), *([self.others] if self.others else ())]
        return min((line.first for line in lines), default=self.position)

    def older_than(self, moment_ms: float) -> dict[str, int]:
        """Types of which something has waited since before then, with its append time; those known only together are named ""."""
        found = {name: line.first_ms for name, line in self.lines.items() if line.first_ms < moment_ms}
        if self.others is not None and self.others.first_ms < moment_ms:
            found[""] = self.others.first_ms
        return found

    def oldest(self) -> int | None:
        """Append time of what has waited longest, ms since 1970; None when nothing waits."""
        lines = [*self.lines.values(), *([self.others] if self.others else ())]
        return min((line.first_ms for line in lines), default=None)
