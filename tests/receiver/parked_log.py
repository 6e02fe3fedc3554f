"""The topic `parked` in memory, as a replay sees it; what is recorded on `hourmark.replays` is read off the publisher's records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hourmark.parked import Replayed, parked_type, read_replayed
from hourmark.topics import PARKED, REPLAYS
from receiver.parking import News, Seen, Slice
from receiver.settle import Parked

from .fakes import FakePublisher

SLICE = 3


class MemoryLog:
    """Owns all partitions from the beginning. `epoch` can be raised to have them come anew; `lows` to let events expire."""

    def __init__(self, publisher: FakePublisher) -> None:
        self._publisher = publisher
        self.epoch = 0
        self.lows: dict[int, int] = {}
        self.frontiers: dict[int, int] = {}
        self.retention = 14 * 86_400_000
        self._tails: dict[tuple[int, int], int] = {}
        self.reads = self.looks = 0
        self.broken: Exception | None = None  # raised by the next look

    def open(self) -> bool:
        self.epoch += 1
        return True

    def tail(self, wait_s: float) -> News:
        self.looks += 1
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        seen = []
        for partition in range(4):
            start = self._tails.get((self.epoch, partition), self.frontiers.get(partition, 0))
            records = self._records(partition)
            for offset in range(max(start, self.lows.get(partition, 0)), len(records)):
                seen.append(Seen(partition, self.epoch, offset, parked_type(records[offset][4]), _now()))
            self._tails[self.epoch, partition] = len(records)
        if not seen:
            time.sleep(min(wait_s, 0.01))
        return News(dict.fromkeys(range(4), self.epoch), seen)

    def read(self, partition: int, cursor: int, end: int, wanted: Mapping[str, int]) -> Slice:
        self.reads += 1
        found: list[Parked] = []
        records, low = self._records(partition), self.lows.get(partition, 0)
        while cursor < end and len(found) < SLICE:
            record = records[cursor]
            name = parked_type(record[4])
            if cursor >= max(low, wanted.get(name, end)):
                found.append(Parked(cursor, name, record[1], _now()))
            cursor += 1
        return Slice(found, cursor, _now())

    def progress(self, partition: int) -> dict[str, Replayed]:
        notes = [read_replayed(record[1]) for record in self._publisher.records if record[0] == REPLAYS]
        return {note.type: note for note in notes if note.partition == partition}

    def commit(self, frontiers: Mapping[int, int]) -> None:
        self.frontiers |= frontiers

    def low(self, partition: int) -> int:
        return self.lows.get(partition, 0)

    def rest(self) -> None:
        """Nothing is held."""

    def retention_ms(self) -> int:
        return self.retention

    def close(self) -> None:
        """Nothing is held."""

    def _records(self, partition: int) -> list[Any]:
        return [record for record in self._publisher.records if record[0] == PARKED and record[3] == partition]


def _now() -> int:
    return int(time.time() * 1000)
