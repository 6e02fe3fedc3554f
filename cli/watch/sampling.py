"""At most so many lines a second, evenly taken, and the word about it: nobody should think that a sample is everything. Pure."""

from __future__ import annotations

import math
from typing import Final

TOLD_EVERY_S: Final = 5.0


class Sampler:
    """One kind of line. `per_second` 0: all of them. In each second every n-th is taken, n by the second before."""

    def __init__(self, per_second: int) -> None:
        self._most = per_second
        self._second = float("-inf")
        self._seen = self._taken = 0
        self.one_of = 1

    def take(self, now: float) -> bool:
        """Whether this line is shown. `now`: seconds of a clock that does not go back."""
        if not self._most:
            return True
        if now - self._second >= 1.0:
            seconds = max(now - self._second, 1.0) if self._second > float("-inf") else 1.0
            self.one_of = max(1, math.ceil(self._seen / seconds / self._most))
            self._second, self._seen, self._taken = now, 0, 0
        self._seen += 1
        if self._taken >= self._most or (self._seen - 1) % self.one_of:
            return False
        self._taken += 1
        return True


class Count:
    """Seen and shown of all kinds, and now and then a sentence about the difference."""

    def __init__(self, now: float) -> None:
        self.seen: dict[str, int] = {}
        self.shown = self.matched = 0
        self._told_at, self._told_seen, self._told_shown = now, 0, 0

    def note(self, kind: str, shown: bool) -> None:
        self.seen[kind] = self.seen.get(kind, 0) + 1
        self.matched += 1
        self.shown += shown

    def word(self, now: float) -> str:
        """`1 of 40 shown …`, at most every few seconds, while something is left out; else empty."""
        if now - self._told_at < TOLD_EVERY_S:
            return ""
        seen, shown = self.matched - self._told_seen, self.shown - self._told_shown
        seconds, self._told_at = now - self._told_at, now
        self._told_seen, self._told_shown = self.matched, self.shown
        if seen <= shown:
            return ""
        return f"1 of {round(seen / max(shown, 1))} shown: {shown:,} of {seen:,} in {seconds:.0f} s; --per-second 0 shows all"

    def summary(self, seconds: float) -> str:
        said = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.seen.items())) or "nothing"
        left_out = f"; {self.shown:,} of them shown" if self.shown < self.matched else ""
        return f"{said} in {seconds:.0f} s{left_out}"
