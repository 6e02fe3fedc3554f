"""Many Avro datums read at once: one position per datum, all moved on together by numpy, over bytes that stay where they are.

What a datum claims is never believed: a number too long, a size beyond the datum's end marks it `bad`, and nothing raises.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

TURNS: Final = 2048
PADDING: Final = bytes(16)  # a varint at the very end may be looked at as if it had ten bytes


def u64(value: int) -> np.uint64:
    return np.uint64(value)


_ONE, _ALL7 = u64(1), u64(0x7F7F7F7F7F7F7F7F)
_STOPS = u64(0x8080808080808080)
# Bytes of seven bits become pairs of 14, then fours of 28, then one number of 56.
_SQUEEZE: Final = [
    (u64(0x007F007F007F007F), u64(0x7F007F007F007F00), u64(1)),
    (u64(0x00003FFF00003FFF), u64(0x3FFF00003FFF0000), u64(2)),
    (u64(0x000000000FFFFFFF), u64(0x0FFFFFFF00000000), u64(4)),
]


class Source:
    """The bytes that all cursors look at, and how many more turns over array items may be taken."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.bytes = np.frombuffer(data + PADDING, np.uint8)
        self.buffer = pa.py_buffer(self.bytes.data)
        # eight bytes from any position on, as one number
        self.words: Words = np.ndarray((self.size + 9,), np.dtype("<u8"), self.bytes.data, strides=(1,))
        self.turns = TURNS

    def windows(self, size: int) -> npt.NDArray[np.uint8]:
        """The `size` bytes from each position on, where they lie."""
        count = len(self.bytes) - size + 1
        return np.ndarray((count, size), np.uint8, self.bytes.data, strides=(1, 1)) if count > 0 else np.zeros((1, size), np.uint8)


class Cursors:
    """One position per datum, in the order of the bytes; `ends`: where each datum ends, which lies before the next one's start."""

    def __init__(self, source: Source, at: Ints, ends: Ints) -> None:
        self.source, self.at, self.ends = source, at, ends
        self.bad: Mask = np.zeros(len(at), np.bool_)

    def __len__(self) -> int:
        return len(self.at)

    def select(self, which: Ints) -> Cursors:
        return Cursors(self.source, self.at[which], self.ends[which])

    def merge(self, which: Ints, read: Cursors) -> None:
        self.at[which] = read.at
        self.bad[which] |= read.bad

    def varint(self) -> Ints:
        """A zigzag number each. One of more than ten bytes, or of more than 64 bits, is bad."""
        at = np.minimum(self.at, self.source.size)
        first = self.source.bytes[at]
        if not len(first) or first.max() < 0x80:  # most lengths, branches and counts
            self.at = at + 1
            small = first.astype(np.int64)
            return (small >> 1) ^ -(small & 1)
        word = self.source.words[at]
        stops = ~word & _STOPS
        below = (stops & (~stops + _ONE)) - _ONE  # every bit under the first stop bit
        value = word & below & _ALL7
        for low, high, shift in _SQUEEZE:
            value = (value & low) | ((value & high) >> shift)
        self.at = at + ((np.bitwise_count(below).astype(np.int64) + 1) >> 3)
        if not stops.all():
            self._long(np.flatnonzero(stops == 0), at, value)
        return ((value >> _ONE) ^ (~(value & _ONE) + _ONE)).view(np.int64)

    def _long(self, which: Ints, at: Ints, value: Words) -> None:
        """The ninth and tenth byte of those that have them."""
        ninth, tenth = (self.source.bytes[at[which] + more].astype(np.uint64) for more in (8, 9))
        goes_on = ninth >= 0x80
        value[which] |= (ninth & u64(0x7F)) << u64(56)
        value[which] |= np.where(goes_on, tenth & _ONE, u64(0)) << u64(63)
        self.at[which] += 1 + goes_on
        self.bad[which] |= goes_on & (tenth > 1)

    def word(self, size: int) -> Words:
        """The next eight bytes, little endian; moves on by `size` of them."""
        at = np.minimum(self.at, self.source.size)
        self.at = at + size
        return self.source.words[at]

    def span(self, size: Ints) -> tuple[Ints, Ints]:
        """Start and size of the next `size` bytes; what claims more than there is becomes bad and empty."""
        start = self.at
        wrong = (size < 0) | (size > self.ends - start)
        if wrong.any():
            self.bad |= wrong
            size = np.where(wrong, 0, size)
            start = np.minimum(start, self.ends)
        self.at = start + size
        return start, size
