"""What the process does with memory: freed memory goes back to the system, and Python looks for garbage less often.

Measured with a 300 MB backlog: peak 580 MB without giving back, 500 MB with, at a buffer of 160 MB; costs a few ms each time.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Any

import pyarrow as pa

WORTH_IT = 8 << 20
GARBAGE_AFTER = 50_000  # new objects; a poll makes 10,000 messages, none of them garbage


def _glibc() -> Any:
    with suppress(OSError, AttributeError):  # musl and macOS have no malloc_trim, and keep less
        return ctypes.CDLL("libc.so.6").malloc_trim
    return None


_trim = _glibc()


def give_back(freed: int) -> None:
    """To be called when about `freed` bytes are no longer needed."""
    if freed >= WORTH_IT:
        pa.default_memory_pool().release_unused()
        if _trim is not None:
            _trim(0)


def settle() -> None:
    """To be called once by the process when everything is loaded: what is there stays, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
