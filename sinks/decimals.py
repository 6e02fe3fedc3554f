"""Avro decimals by columns: 128-bit numbers out of bytes, with the digits that the schema declares and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .cursors import Cursors, Mask, u64

_buffer: Any = pa.py_buffer


class Decimal:
    """Big-endian two's complement of any length up to 16 bytes. `size`: of a fixed; None: a length goes before. More digits are bad."""

    def __init__(self, kind: Any, size: int | None) -> None:
        self.kind, self._size = kind, size
        self.least = 1 if size is None else size
        limit = 10**kind.precision
        self._most, self._least_value = limit - 1, 1 - limit

    def read(self, cursors: Cursors) -> Any:
        size = cursors.varint() if self._size is None else np.full(len(cursors), self._size, np.int64)
        start, size = cursors.span(size)
        cursors.bad |= size > 16
        size = np.minimum(size, 16)
        place = np.arange(16)
        raw = cursors.source.bytes.take(start[:, None] + size[:, None] - 16 + place, mode="clip")
        negative = (size > 0) & (cursors.source.bytes.take(start, mode="clip") > 127)
        outside = place < 16 - size[:, None]
        raw[outside] = np.broadcast_to(np.where(negative, 0xFF, 0)[:, None].astype(np.uint8), raw.shape)[outside]
        value = raw[:, ::-1].copy()
        low, high = value.view("<u8")[:, 0], value.view("<i8")[:, 1]
        wrong = ~(_at_most(high, low, self._most) & ~_at_most(high, low, self._least_value - 1))
        cursors.bad |= wrong
        value[wrong] = 0
        return pa.Array.from_buffers(self.kind, len(start), [None, _buffer(value)])


def _at_most(high: npt.NDArray[Any], low: npt.NDArray[Any], limit: int) -> Mask:
    """Which 128-bit numbers are <= `limit`."""
    top, bottom = limit >> 64, u64(limit & (1 << 64) - 1)
    result: Mask = (high < top) | ((high == top) & (low <= bottom))
    return result
