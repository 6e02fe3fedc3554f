"""What a shard of the compact index remembers of itself: its meta key, whose layout stands in scripts/compact_meta.lua."""

from __future__ import annotations

from math import ceil, log2
from struct import Struct
from typing import Final, NamedTuple

IDS_A_BUCKET: Final = 32  # a day; small hashes are stored as lists, which are searched from the front
FINGERPRINT: Final = 6
READY: Final = 0
REBUILDING: Final = 1

_FIXED: Final = Struct(">IIIBBBH")
_LAYOUT: Final = Struct(">BBI")
_HOT: Final = Struct(">IB")


def tag(shard: int) -> str:
    """Every key of the shard begins with this cluster hash tag."""
    return f"{{{shard}}}"


def bits_for(ids_a_day: float) -> int:
    """log2 of the buckets of a shard that sees so many ids a day."""
    return min(32, max(4, ceil(log2(max(1.0, ids_a_day / IDS_A_BUCKET)))))


class Layout(NamedTuple):
    """Buckets are numbered by the upper `bits` of the hash. `newest`: newest day that was sealed into it, 0: none."""

    version: int
    bits: int
    newest: int


class Shard(NamedTuple):
    """`sealed`: claims of that day and before are of a sealed day. `swept`: the day up to which all buckets have been moved; a pass over
    them is due when it is not `sealed`. `keep`: oldest day kept. `layouts`: the last one is written. `hot`: (day, version of layout)."""

    sealed: int
    swept: int
    keep: int
    fingerprint: int
    state: int
    layouts: tuple[Layout, ...]
    hot: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, raw: bytes) -> Shard:
        sealed, swept, keep, fingerprint, state, layouts, hot = _FIXED.unpack_from(raw)
        start = _FIXED.size + layouts * _LAYOUT.size
        return cls(
            sealed,
            swept,
            keep,
            fingerprint,
            state,
            layouts=tuple(map(Layout._make, _LAYOUT.iter_unpack(raw[_FIXED.size : start]))),
            hot=tuple(_HOT.iter_unpack(raw[start : start + hot * _HOT.size])),
        )

    @property
    def current(self) -> Layout:
        return self.layouts[-1]

    @property
    def due(self) -> bool:
        """A pass over all buckets is due."""
        return self.swept != self.sealed
