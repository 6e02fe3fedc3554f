"""What the process does with memory: freed memory goes back to the system, and Python looks for garbage less often.

Both allocators keep what they are given: Arrow's default one for good, the C library's between what is still in use. A worker would grow to
the sum of the largest moments of each.
"""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from typing import Any, Final

# Read when pyarrow is loaded. Arrow's default pool keeps most of what it is told to release: a peak 15 MB higher, and 80 MB that stay.
POOL: Final = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"}
WORTH_IT: Final = 16 << 20  # giving back takes a few ms
GARBAGE_AFTER: Final = 50_000  # new objects; a poll makes 10,000 messages, none of them garbage


def _glibc() -> Any:
    with suppress(OSError, AttributeError):  # musl and macOS have no malloc_trim, and keep less
        return ctypes.CDLL("libc.so.6").malloc_trim
    return None


class Freed:
    """Bytes that are no longer needed and may still be the process's."""

    def __init__(self) -> None:
        self._bytes = 0
        self._trim = _glibc()

    def add(self, freed: int) -> None:
        """To be called when about `freed` bytes are no longer needed. Small ones are given back together."""
        self._bytes += freed
        if self._bytes >= WORTH_IT:
            self._bytes = 0
            import pyarrow as pa

            pa.default_memory_pool().release_unused()
            if self._trim is not None:
                self._trim(0)


give_back: Final = Freed().add  # one for the process, as its allocators are


def choose_pool() -> None:
    """To be called before pyarrow is loaded. What the environment says already holds."""
    for name, value in POOL.items():
        os.environ.setdefault(name, value)


def settle() -> None:
    """To be called once by the process when everything is loaded: what is there stays, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
