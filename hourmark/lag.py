"""How long what is unread has waited, in seconds of append time, without asking the broker for a single record.

What is unread was appended after the newest record that was read, and after the last look that found nothing unread: the later of the two
is the oldest moment that is possible. So the answer is never too small once one of them is known, and too large by one look at most.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from .metrics import Gauge


class LagBook:
    """One key for each partition. Moments are seconds since 1970, by the broker's clock or one that is near it."""

    def __init__(self) -> None:
        self._newest: dict[Hashable, float] = {}
        self._clear: dict[Hashable, float] = {}

    def read(self, key: Hashable, append_ms: int) -> None:
        """The newest record read so far was appended then."""
        self._newest[key] = append_ms / 1000

    def look(self, key: Hashable, behind: int, now: float) -> float:
        """`behind`: records that are unread now. Returns how long the oldest of them can have waited, 0 when there is none.

        Where nothing was read and no look found it empty, the first look counts.
        """
        if behind <= 0:
            self._clear[key] = now
            return 0.0
        since = max(self._newest.get(key, 0.0), self._clear.get(key, 0.0))
        if not since:
            since = self._clear[key] = now
        return max(0.0, now - since)

    def keep(self, keys: set[Hashable]) -> None:
        """Forget all others: they belong to another process now."""
        for known in (self._newest, self._clear):
            for key in known.keys() - keys:
                del known[key]


class LagPage:
    """Both lags of each event type on the metrics page; types that are told no more leave it."""

    def __init__(self, records: Gauge, seconds: Gauge) -> None:
        self._records, self._seconds = records, seconds
        self._shown: set[str] = set()

    def show(self, records: Mapping[str, int], seconds: Mapping[str, float]) -> None:
        """By event type: records not yet finished, and the age of the oldest of them. Both hold the same types."""
        for name, behind in records.items():
            self._records.labels(name).set(behind)
            self._seconds.labels(name).set(seconds[name])
        for name in self._shown - records.keys():
            self._records.remove(name)
            self._seconds.remove(name)
        self._shown = set(records)
