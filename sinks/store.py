"""The lake as the sink sees it: named immutable files. One seam, `Store`: object_store.py for object stores, disk.py for a local disk;
lake.py opens the one that a URL names, probe.py finds out whether it can be trusted.

Promise: a file is seen whole or not at all, and is never overwritten. Refuses: update, append, rename of anything that can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple, Protocol, cast

Fill = Callable[[IO[bytes]], None]


class Stored(NamedTuple):
    """What is really stored under a name."""

    bytes: int
    sha256: str


class Publication(Protocol):
    """One hour on its way to be presented. Call `write` for each planned file, then `finish` once."""

    def write(self, name: str, fill: Fill) -> Stored: ...

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        """Add these files in this order and present the hour. False when it had been begun or presented before: what stands stays."""
        ...


class Store(Protocol):
    """Every method raises LakeUnavailable when the lake does not answer, is full, or refuses; nothing half-written can then be seen.

    After LakeUnavailable the file may be there all the same: the reply was lost, not the request. Whoever asks again compares contents.
    """

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that must not exist. False when it does: another's bytes, or our own from an earlier life or a lost reply."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None when there is none."""
        ...

    def names(self, folder: str, after: str = "") -> list[str]:
        """Names of the files directly in a folder, sorted, those above `after` only. A folder that does not exist is empty."""
        ...

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in a folder, sorted."""
        ...

    def write(self, path: str, fill: Fill) -> Stored:
        """Create a large file with what `fill` writes. When it exists, it is left and what is stored is returned."""
        ...

    def open(self, path: str) -> Any:
        """A seekable binary file for reading. Raises LakeUnavailable when there is none: only named files are opened."""
        ...

    def remove(self, path: str) -> None:
        """Take away a file that nobody names. One that is not there is no error."""
        ...

    def aged(self, folder: str) -> dict[str, float]:
        """Files directly in a folder → when each was written, in seconds since 1970 by the lake's own clock."""
        ...

    def publication(self, folder: str) -> Publication: ...


def digest(file: IO[bytes]) -> Stored:
    """Length and SHA-256 of all that stands in an open file."""
    length = file.seek(0, 2)
    file.seek(0)
    return Stored(length, hashlib.file_digest(cast(Any, file), "sha256").hexdigest())
