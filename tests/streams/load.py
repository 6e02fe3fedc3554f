"""A thread that sends while workers suffer, and the reckoning afterwards."""

from __future__ import annotations

import random
import threading

from hourmark.schemas import EventType
from tests.streams.stage import Stage, assert_balanced, assert_exact, new_ids


class Load:
    """Sends new events, and copies of earlier ones on partition 0, until it is stopped."""

    def __init__(self, stage: Stage, found: EventType, per_second: int = 3_000) -> None:
        self.ids: list[bytes] = []
        self.copies = 0
        self._stage, self._found, self._per_second = stage, found, per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # a failed test must not keep the run alive
        self._thread.start()

    def _run(self) -> None:
        chance = random.Random(7)
        while not self._stop.is_set():
            fresh = new_ids(self._per_second // 20)
            self.copies += self._stage.send(self._found, chance.sample(self.ids, min(len(self.ids), len(fresh) // 10)), partition=0)
            self._stage.send(self._found, fresh)
            self.ids += fresh
            self._stop.wait(0.05)

    def stop(self) -> list[bytes]:
        self._stop.set()
        self._thread.join()
        self._stage.flush()
        return self.ids

    def check(self) -> None:
        """Exactly the ids that were sent, and sums that say so, whatever happened meanwhile."""
        self._stage.wait_clean(self._found, len(self.ids), timeout=90)
        parts = self._stage.wait_closed(self._found, timeout=60)
        assert_exact(parts, self.ids)
        assert_balanced(parts)
        tallies = [tally for part in parts for barrier in part.barriers() for tally in barrier.tallies.values()]
        assert sum(tally.consumed for tally in tallies) == len(self.ids) + self.copies
        assert sum(tally.duplicates for tally in tallies) == self.copies
