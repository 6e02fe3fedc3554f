"""The lake as the sink sees it: named immutable files. One seam, `Store`; object stores through obstore here, a local disk in disk.py;
lake.py opens the one that a URL names.

Promise: a file is seen whole or not at all, and is never overwritten. Refuses: update, append, rename of anything that can be read.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple, Protocol, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from hourmark.errors import LakeUnavailable

from .layout import SUCCESS

Fill = Callable[[IO[bytes]], None]


class Stored(NamedTuple):
    """What is really stored under a name."""

    bytes: int
    sha256: str


class Publication(Protocol):
    """One hour on its way to be presented. Call `write` and `copy` for each planned file, then `finish` once."""

    def write(self, name: str, fill: Fill) -> Stored: ...

    def copy(self, path: str, name: str) -> Stored: ...

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        """Add these files in this order and present the hour. False when it had been presented before: then nothing has changed."""
        ...


class Store(Protocol):
    """Every method raises LakeUnavailable when the lake does not answer, is full, or refuses; nothing half-written can then be seen."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that must not exist. False when it does: its bytes are another's, or our own from an earlier life."""
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

    def publication(self, folder: str) -> Publication: ...


class ObjectStore:
    """Any store that obstore knows: S3, GCS, Azure, memory. Presents an hour file by file; `_SUCCESS` comes last."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def create(self, path: str, data: bytes) -> bool:
        with translated(path):
            try:
                obstore.put(self._store, path, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def read(self, path: str) -> bytes | None:
        with translated(path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def names(self, folder: str, after: str = "") -> list[str]:
        with translated(folder):
            offset = f"{folder}/{after}" if after else None
            found = [meta["path"] for chunk in obstore.list(self._store, folder, offset=offset) for meta in chunk]
            return sorted(name for name in (path[len(folder) + 1 :] for path in found) if "/" not in name)

    def folders(self, folder: str) -> list[str]:
        with translated(folder):
            found = obstore.list_with_delimiter(self._store, folder)["common_prefixes"]
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def write(self, path: str, fill: Fill) -> Stored:
        with translated(path), tempfile.TemporaryFile() as file:
            fill(file)
            stored = digest(file)
            file.seek(0)
            try:
                obstore.put(self._store, path, file, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return self.stored(path)
            return stored

    def stored(self, path: str) -> Stored:
        """What is stored under a name that exists."""
        with translated(path):
            data = bytes(obstore.get(self._store, path).bytes())
            return Stored(len(data), hashlib.sha256(data).hexdigest())

    def open(self, path: str) -> Any:
        with translated(path):
            return obstore.open_reader(self._store, path)

    def publication(self, folder: str) -> Publication:
        return _InPlace(self, folder)


class _InPlace:
    """Publication on a store that cannot move folders. Two publishers of one plan write the same rows under the same names."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store, self._folder = store, folder

    def write(self, name: str, fill: Fill) -> Stored:
        return self._store.write(f"{self._folder}/{name}", fill)

    def copy(self, path: str, name: str) -> Stored:
        def fill(file: IO[bytes]) -> None:
            source = self._store.open(path)
            while chunk := bytes(source.read(1 << 22)):
                file.write(chunk)

        return self.write(name, fill)

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        done = False
        for name, data in last:
            created = self._store.create(f"{self._folder}/{name}", data)
            done = created if name == SUCCESS else done
        return done


def digest(file: IO[bytes]) -> Stored:
    """Length and SHA-256 of all that stands in an open file."""
    length = file.seek(0, 2)
    file.seek(0)
    return Stored(length, hashlib.file_digest(cast(Any, file), "sha256").hexdigest())


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Whatever a disk or an object store raises is LakeUnavailable: a later try may pass."""
    try:
        yield
    except (OSError, BaseError) as exc:
        raise LakeUnavailable(f"{path}: {type(exc).__name__}: {exc}", path=path) from exc
