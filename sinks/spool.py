"""Keys of any number of rows, looked through for repeats with bounded memory: spread over files by their own bits, then file by file."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

BUCKETS: Final = 256
HELD: Final = 1 << 20  # keys in memory before they are spread; 20 MB
_ROW: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("hour", "<i4")])
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


class Spool:
    """Add keys of 16 bytes with the hour they stand in; then `repeats` says how many stand twice. A context manager: it owns a folder.

    A billion keys are 20 GB in the temporary folder and about 80 MB in memory.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hourmark-fsck-")
        self._held: list[npt.NDArray[Any]] = []
        self._count = 0
        self._spread_out = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._folder.cleanup()

    def add(self, high: npt.NDArray[Any], low: npt.NDArray[Any], hour: int) -> None:
        """Two numbers of 64 bits for each key."""
        rows = np.empty(len(high), _ROW)
        rows["high"], rows["low"], rows["hour"] = high, low, hour
        self._held.append(rows)
        self._count += len(rows)
        if self._count >= HELD:
            self._spread()

    def repeats(self) -> Counter[tuple[int, int]]:
        """How many keys stand twice, by the hours in which they do (the same one twice: within that hour)."""
        found: Counter[tuple[int, int]] = Counter()
        if not self._spread_out:
            if self._held:
                found.update(_repeats(np.concatenate(self._held)))
            return found
        self._spread()
        for path in sorted(Path(self._folder.name).iterdir()):
            found.update(_repeats(np.fromfile(path, _ROW)))
        return found

    def _spread(self) -> None:
        self._spread_out = True
        if not self._held:
            return
        rows = np.concatenate(self._held)
        self._held, self._count = [], 0
        buckets = ((rows["high"] ^ rows["low"]) * _SPREAD) >> np.uint64(56)
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], np.arange(BUCKETS + 1, dtype=np.uint64))
        for bucket in range(BUCKETS):
            if ends[bucket] < ends[bucket + 1]:
                with (Path(self._folder.name) / f"{bucket:03d}").open("ab") as file:
                    rows[order[ends[bucket] : ends[bucket + 1]]].tofile(file)


def _repeats(rows: npt.NDArray[Any]) -> Counter[tuple[int, int]]:
    rows = rows[np.lexsort((rows["hour"], rows["low"], rows["high"]))]
    same = (rows["high"][1:] == rows["high"][:-1]) & (rows["low"][1:] == rows["low"][:-1])
    return Counter(zip(rows["hour"][:-1][same].tolist(), rows["hour"][1:][same].tolist(), strict=True))


def id_keys(texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Canonical UUID texts as keys. Raises ValueError when one is none."""
    packed = np.frombuffer(bytes.fromhex("".join(texts).replace("-", "")), ">u8").reshape(-1, 2)
    if len(packed) != len(texts):
        raise ValueError("event ids that are no UUIDs")
    return packed[:, 0], packed[:, 1]
