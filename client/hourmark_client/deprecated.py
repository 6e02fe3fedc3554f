"""Says, once for each, that an event type which is sent will not be there for ever."""

from __future__ import annotations

import threading
from typing import Final

from .loud import log

HEADER: Final = "Hourmark-Deprecated"
_REMEMBERED: Final = 10_000


class Deprecations:
    """Warnings in the log, one for each event type and date. Thread-safe."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """After a fork: a new lock, and everything is said again."""
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def heard(self, header: str) -> None:
        """What the receiver says beside its verdicts: `player.song_played;until=2027-03-01;replaced_by=player.song_played_v2, …`."""
        for notice in header.split(","):
            event_type, *facts = (part.strip() for part in notice.split(";"))
            named = dict(fact.partition("=")[::2] for fact in facts)
            self.tell(event_type, named.get("until", ""), named.get("replaced_by", ""))

    def tell(self, event_type: str, until: str, replaced_by: str) -> None:
        when = f", and may be gone from {until} on" if until else ""
        instead = f"; send {replaced_by} instead" if replaced_by else ""
        said = f"{event_type} is deprecated{when}{instead}"
        with self._lock:
            if said in self._said or len(self._said) >= _REMEMBERED:
                return
            self._said.add(said)
        log.warning("%s", said)
