"""Who sends: the write key of a request, and the quota it may use up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from hourmark.errors import QuotaExceeded, RegistryUnavailable
from hourmark.schemas import Snapshot, WriteKey, token_digest

from .errors import Refused

BURST_S: Final = 2.0
REMEMBERED: Final = 10_000


class Keys:
    """The write keys of the snapshot of now. Remembers the headers that were good, as long as the snapshot is the same."""

    def __init__(self, snapshot: Callable[[], Snapshot], current: Callable[[], bool]) -> None:
        self._snapshot, self._current = snapshot, current
        self._seen: Snapshot | None = None
        self._good: dict[str | None, WriteKey] = {}

    def authorize(self, header: str | None) -> WriteKey:
        """The key of `Authorization: Bearer <write key>` (scheme in any case). Raises Refused with 401, which senders take for final;
        RegistryUnavailable when a key that we do not know may be a new one, because the catalogue was not read since our start.
        """
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen, self._good = snapshot, {}
        key = self._good.get(header)
        if key is None:
            key = _known(header, snapshot, current=self._current())
            if len(self._good) < REMEMBERED:
                self._good[header] = key
        return key


def _known(header: str | None, snapshot: Snapshot, *, current: bool) -> WriteKey:
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, "unauthorized", "send the header Authorization: Bearer <write key>", WWW_Authenticate="Bearer")
    key = snapshot.keys.get(token_digest(token.strip()))
    if key is None and not current:
        raise RegistryUnavailable("this write key is not known here yet: the catalogue has not been read since the start", retry_after=1.0)
    if key is None:
        raise Refused(401, "unauthorized", "this write key is not known", WWW_Authenticate="Bearer")
    return key


def check_types(key: WriteKey, types: Iterable[str]) -> None:
    """Raises Refused with 403 when the key may not send one of them: a wrong key is the sender's set-up, not one event's fault."""
    if "*" in key.types:
        return
    barred = sorted({name for name in types if not key.may_send(name)})
    if barred:
        raise Refused(403, "key_not_allowed", f"the write key {key.name!r} may not send {', '.join(barred[:20])}")


class Quota:
    """A token bucket per write key, in events: `rate` a second, a burst of two seconds. Rate 0: no quota."""

    def __init__(self, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = rate, now
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, key: WriteKey, events: int) -> None:
        """Raises QuotaExceeded with the seconds until there is room. A batch above the burst passes when the bucket is full."""
        if not self._rate:
            return
        now, burst = self._now(), self._rate * BURST_S
        level, at = self._levels.get(key.name, (burst, now))
        level = min(burst, level + (now - at) * self._rate)
        needed = min(float(events), burst)
        if level < needed:
            wait = (needed - level) / self._rate
            self._levels[key.name] = (level, now)
            raise QuotaExceeded(f"the write key {key.name!r} may send {self._rate:g} events a second", retry_after=max(0.1, wait))
        self._levels[key.name] = (level - events, now)
