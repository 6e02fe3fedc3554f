"""What has been read and not yet written: raw bytes per (event type, clean partition, hour, schema), bounded in total.

The high-water rule and the hour of each record are decided here. Kafka is the spool: whatever is here may be dropped at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import compress
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hourmark.errors import InvariantBroken
from hourmark.event import FLAG_SKEWED, FRAME, ID_END, MAGIC, STAMP, STAMP_VERSION, CleanBarrier
from hourmark.topics import Partition

from .commits import Tip
from .decode import STAMPS, Run
from .manifest import Mark

RUN_BYTES: Final = 2 << 20
UNFRAMED: Final = -1  # stands in place of a schema id for values that are no framed events
_SOURCE_SHIFT: Final = 48


class Foreign(NamedTuple):
    """A record on a clean topic that no dedup worker wrote: it goes to `rejected`, whoever put it there."""

    offset: int
    value: bytes
    reason: str


class Group:
    """Events of one hour and writer schema, joined: a million small byte strings would cost half as much again in overhead."""

    def __init__(self) -> None:
        self.bytes = 0
        self.rows = 0
        self._pieces: list[tuple[bytes, npt.NDArray[np.int64], npt.NDArray[Any]]] = []
        self._digest = blake2b(digest_size=8)

    def add(self, data: bytes, sizes: npt.NDArray[np.int64], stamps: npt.NDArray[Any]) -> None:
        """Values, joined, and how long each one is."""
        self._pieces.append((data, sizes, stamps))
        self.bytes += len(data)
        self.rows += len(sizes)

    def drain(self) -> Iterator[Run]:
        """All events in runs of a few MB, each freed as soon as the next one is asked for. The group is empty afterwards."""
        pieces = self._pieces
        pieces.reverse()
        while pieces:
            taken, size = [pieces.pop()], 0
            while pieces and (size := size + len(taken[-1][0])) < RUN_BYTES:
                taken.append(pieces.pop())
            run = Run(
                b"".join(piece[0] for piece in taken),
                np.cumsum(np.concatenate([piece[1] for piece in taken])),
                np.concatenate([piece[2] for piece in taken]),
            )
            self._digest.update(run.stamps.tobytes())
            del taken
            yield run
        self.bytes = self.rows = 0

    def digest(self) -> str:
        """Digest of the stamps of all events drained so far, which say for ever what each event is: same events, same part."""
        return self._digest.hexdigest()


class PartitionBuffer:
    """One clean partition since its newest commit entry. `next` is the clean offset that must come next."""

    def __init__(self, partition: Partition, tip: Tip) -> None:
        self.partition, self.tip = partition, tip
        self.next = tip.offset
        self.appended_ms = tip.appended_ms  # on the clean log, of the newest record
        self.closed = tip.closed
        self.groups: dict[tuple[int, int], Group] = {}
        self.barriers: list[CleanBarrier] = []
        self.foreign: list[Foreign] = []
        self.repeats = 0
        self.misplaced = 0
        self.bytes = 0
        self.newest_ms = 0  # append time of the newest record, 0: none was read
        self._mark = -1 if tip.mark is None else _mark(tip.mark.source, tip.mark.offset)

    @property
    def mark(self) -> Mark | None:
        return None if self._mark < 0 else Mark(self._mark >> _SOURCE_SHIFT, self._mark & ((1 << _SOURCE_SHIFT) - 1))

    @property
    def empty(self) -> bool:
        return self.next == self.tip.offset

    def hour_bytes(self) -> int:
        """Size of the largest hour held."""
        hours: dict[int, int] = {}
        for (hour, _), group in self.groups.items():
            hours[hour] = hours.get(hour, 0) + group.bytes
        return max(hours.values(), default=0)

    def add(self, values: list[bytes], headers: Sequence[bytes]) -> None:
        """Records as they follow one another in the partition. `headers`: their stamps, 27 bytes each.

        A record at or below the mark is a repeat and dropped. A record of an hour that is closed here goes to the next one, flagged.
        """
        self.next += len(values)
        stamps = np.frombuffer(b"".join(headers), STAMPS)
        self.newest_ms = int(stamps["append_ms"][-1])
        self._check(stamps)
        marks = (stamps["source"].astype(np.int64) << _SOURCE_SHIFT) | stamps["offset"].astype(np.int64)
        before = np.maximum.accumulate(np.concatenate(([self._mark], marks[:-1])))
        fresh = marks > before
        self._mark = max(self._mark, int(marks.max()))
        if not fresh.all():
            self.repeats += int(len(fresh) - fresh.sum())
            values, stamps = list(compress(values, fresh)), stamps[fresh]
        if values:
            self._place(values, stamps)

    def _check(self, stamps: npt.NDArray[Any]) -> None:
        if (stamps["version"] != STAMP_VERSION).any():
            raise InvariantBroken("a stamp of a version that this worker cannot read", partition=self.partition, near_offset=self.next)
        if (stamps["partition"] != self.partition.number).any():
            raise InvariantBroken("a record of another raw partition", partition=self.partition, near_offset=self.next)

    def _place(self, values: list[bytes], stamps: npt.NDArray[Any]) -> None:
        if self.closed is not None and (late := stamps["hour"] <= self.closed).any():
            # Cannot be: no dedup worker stamps with an hour that it has closed (delivery.md §4.6). Neither lose it nor touch the hour.
            stamps = stamps.copy()
            stamps["hour"][late] = self.closed + 1
            stamps["flags"][late] |= FLAG_SKEWED
            self.misplaced += int(late.sum())
        hours = stamps["hour"]
        first = int(hours[0])
        for hour in [first] if (hours == first).all() else np.unique(hours).tolist():
            chosen = hours == hour
            if chosen.all():
                self._group(hour, values, stamps)
            else:
                self._group(hour, list(compress(values, chosen)), stamps[chosen])

    def _group(self, hour: int, values: list[bytes], stamps: npt.NDArray[Any]) -> None:
        data, sizes = b"".join(values), np.fromiter(map(len, values), np.int64, len(values))
        if _of_one_schema(data, sizes):
            self._into((hour, _schema_of(data[: FRAME.size])), data, sizes, stamps)
            return
        heads = [value[: FRAME.size] if len(value) >= ID_END else b"" for value in values]
        for head in sorted(set(heads)):
            chosen = np.fromiter((other == head for other in heads), np.bool_, len(heads))
            self._into((hour, _schema_of(head)), b"".join(compress(values, chosen)), sizes[chosen], stamps[chosen])

    def _into(self, key: tuple[int, int], data: bytes, sizes: npt.NDArray[np.int64], stamps: npt.NDArray[Any]) -> None:
        self.groups.setdefault(key, Group()).add(data, sizes, stamps)
        self.bytes += len(data) + len(stamps) * (STAMP.size + 8)

    def close(self, barrier: CleanBarrier) -> None:
        """A barrier in its place in the partition. Repeats of one that has been seen are dropped."""
        self.next += 1
        mark = _mark(barrier.source, barrier.offset)
        if mark <= self._mark:
            self.repeats += 1
            return
        if barrier.partition != self.partition.number:
            raise InvariantBroken("a barrier of another raw partition", partition=self.partition, near_offset=self.next)
        self._mark = mark
        if self.closed is not None and barrier.hour <= self.closed:
            if self.tip.seam is not None and barrier.first == 0:
                self.barriers.append(barrier)  # the first of another raw log closes nothing new, and the next interval begins at it
                return
            self.misplaced += 1  # closes nothing; the audit of the next hour will find the broken interval
            return
        self.barriers.append(barrier)
        self.closed = barrier.hour

    def reject(self, foreign: Foreign) -> None:
        self.next += 1
        self.bytes += len(foreign.value)
        self.foreign.append(foreign)


class HourlyBatches:
    """The buffers of all partitions that this worker owns. Flush what `due` names, in its order, until it names nothing."""

    def __init__(self, total_limit: int, hour_limit: int) -> None:
        self._total_limit, self._hour_limit = total_limit, hour_limit
        self._buffers: dict[Partition, PartitionBuffer] = {}

    def __iter__(self) -> Iterator[PartitionBuffer]:
        return iter(self._buffers.values())

    def __len__(self) -> int:
        return len(self._buffers)

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._buffers

    def open(self, partition: Partition, tip: Tip) -> PartitionBuffer:
        """A fresh buffer that goes on from `tip`; what was held of this partition is dropped."""
        buffer = self._buffers[partition] = PartitionBuffer(partition, tip)
        return buffer

    def drop(self, partition: Partition) -> None:
        self._buffers.pop(partition, None)

    def get(self, partition: Partition) -> PartitionBuffer | None:
        return self._buffers.get(partition)

    @property
    def bytes(self) -> int:
        return sum(buffer.bytes for buffer in self._buffers.values())

    def due(self) -> Iterator[PartitionBuffer]:
        """Those with a barrier, those with a full hour, then the largest while there is too much in all."""
        for buffer in list(self._buffers.values()):
            if buffer.barriers or (buffer.bytes > self._hour_limit and buffer.hour_bytes() > self._hour_limit):
                yield buffer
        while self.bytes > self._total_limit:
            largest = max(self._buffers.values(), key=lambda b: b.bytes)
            yield largest
            if self._buffers.get(largest.partition) is largest:  # the caller could not flush it: do not offer it for ever
                return


def _of_one_schema(data: bytes, sizes: npt.NDArray[np.int64]) -> bool:
    """Whether all values are framed events that begin alike."""
    if sizes.min() < ID_END:
        return False
    heads = np.ndarray((len(data) - FRAME.size + 1, FRAME.size), np.uint8, data, strides=(1, 1))
    return bool((heads[np.cumsum(sizes) - sizes] == heads[0]).all())


def _schema_of(head: bytes) -> int:
    return int.from_bytes(head[1:], "big") if head[:1] == MAGIC else UNFRAMED


def _mark(source: int, offset: int) -> int:
    return source << _SOURCE_SHIFT | offset
