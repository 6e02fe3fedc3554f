"""A lake in an object store, through obstore: S3 and what speaks like it, GCS, Azure, memory. Every write is conditional on absence.

An hour is presented file by file, `_SUCCESS` last. Large files go up in pieces under a name of their own and are then copied, inside the
store, to the name that must not exist: an upload in pieces cannot be made conditional here, and one long request starts over for any fault.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from hourmark.crashpoints import crashpoint
from hourmark.errors import LakeUnavailable

from .layout import STAGING, SUCCESS
from .store import Fill, Publication, Stored, digest

SINGLE: Final = 64 << 20  # a file up to this size goes up in one request
CHUNK: Final = 8 << 20  # a larger one in pieces of this size, and
LANES: Final = 3  # so many at once
SPOOL: Final = 1 << 20  # what is read and smaller stays in memory, larger files go to the temporary folder

_EXISTS = (AlreadyExistsError, PreconditionError)
_NO_PLACE = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist", "container does not exist")


class ObjectStore:
    """`copies`: the store can copy inside itself only if the target is absent; without it large files go up in one request too."""

    def __init__(self, store: Any, *, copies: bool = True) -> None:
        self._store = store
        self.copies = copies

    def create(self, path: str, data: bytes) -> bool:
        with answered(path):
            return self._only_if_absent(path, lambda: obstore.put(self._store, path, data, mode="create", use_multipart=False))

    def read(self, path: str) -> bytes | None:
        with answered(path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError as exc:
                if _no_place(exc):
                    raise
                return None

    def names(self, folder: str, after: str = "") -> list[str]:
        """Asks for names above `after` only: a page of 1,000 is one request."""
        found = self.paths(folder, f"{folder}/{after}" if after else None)
        names = (path[len(folder) + 1 :] for path in found)
        return sorted(name for name in names if "/" not in name and name > after)

    def paths(self, folder: str, after: str | None = None) -> dict[str, int]:
        """Everything below a folder, at any depth: path → bytes."""
        with answered(folder):
            return {meta["path"]: meta["size"] for chunk in obstore.list(self._store, folder, offset=after) for meta in chunk}

    def piece(self, path: str, start: int, end: int) -> bytes:
        """The bytes `start` … `end` - 1 of an object, in one request."""
        with answered(path):
            return bytes(obstore.get_range(self._store, path, start=start, end=end))

    def aged(self, folder: str) -> dict[str, float]:
        with answered(folder):
            found = [meta for chunk in obstore.list(self._store, folder) for meta in chunk]
        written = ((meta["path"][len(folder) + 1 :], meta["last_modified"].timestamp()) for meta in found)
        return {name: moment for name, moment in written if "/" not in name}

    def folders(self, folder: str) -> list[str]:
        with answered(folder):
            found = obstore.list_with_delimiter(self._store, folder)["common_prefixes"]
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def write(self, path: str, fill: Fill) -> Stored:
        with answered(path), tempfile.TemporaryFile() as file:
            fill(file)
            stored = digest(file)
            file.flush()
            file.seek(0)
            crashpoint("lake.written")
            return stored if self._put(path, file, stored.bytes) else self.stored(path)

    def stored(self, path: str) -> Stored:
        """What is stored under a name that exists, read piece by piece."""
        length, found = 0, hashlib.sha256()
        with answered(path):
            for chunk in obstore.get(self._store, path).stream(min_chunk_size=1 << 20):
                found.update(chunk)
                length += len(chunk)
        return Stored(length, found.hexdigest())

    def open(self, path: str) -> IO[bytes]:
        """The whole object in one request, in a temporary file: many are read at once, and each would need a buffer of its own."""
        file = tempfile.SpooledTemporaryFile(max_size=SPOOL)  # noqa: SIM115  # the caller closes it
        with answered(path):
            try:
                for chunk in obstore.get(self._store, path).stream(min_chunk_size=1 << 20):
                    file.write(chunk)
            except BaseException:
                file.close()
                raise
        file.seek(0)
        return file

    def remove(self, path: str) -> None:
        with answered(path), suppress(FileNotFoundError):
            obstore.delete(self._store, path)

    def copy(self, path: str, target: str) -> bool:
        """Give an object a second name. False when something has that name already; NotSupported is LakeUnavailable like all else."""
        with answered(target):
            return self._only_if_absent(target, lambda: obstore.copy(self._store, path, target, overwrite=False))

    def publication(self, folder: str) -> Publication:
        return _InPlace(self, folder)

    def _put(self, path: str, file: IO[bytes], size: int) -> bool:
        if size <= SINGLE or not self.copies:
            # mapped: read as a file it would be held twice in memory (583 MB for one of 256); so only pages that can be dropped
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            return self._only_if_absent(path, lambda: obstore.put(self._store, path, data, mode="create", use_multipart=False))
        aside = f"{STAGING}/{uuid.uuid4().hex}.tmp"
        try:
            obstore.put(self._store, aside, file, use_multipart=True, chunk_size=CHUNK, max_concurrency=LANES)
            crashpoint("lake.synced")
            return self.copy(aside, path)
        finally:
            with suppress(OSError, BaseError):  # what stays there harms nobody
                obstore.delete(self._store, aside)

    def _only_if_absent(self, path: str, act: Any) -> bool:
        """Do it; False when the store says that the name is taken, and it is: a 409 may only mean that another is just writing it."""
        try:
            act()
        except _EXISTS as exc:
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                raise LakeUnavailable(f"{path}: another writer was at it, and nothing is there yet: {words(exc)}", path=path) from exc
            return False
        crashpoint("lake.linked")
        return True


class _InPlace:
    """Publication on a store that cannot move folders. Two publishers of one plan write the same rows under the same names.

    What an earlier publisher left is taken as it is, unread by anybody before the marker stands.
    """

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store, self._folder = store, folder
        self._there = set(store.names(folder))

    def write(self, name: str, fill: Fill) -> Stored:
        path = f"{self._folder}/{name}"
        return self._store.stored(path) if name in self._there else self._store.write(path, fill)

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        """All files were created here. Else the caller reads what stands: another version of ours may have begun the hour."""
        all_ours = True
        for name, data in last:
            if name == SUCCESS:
                crashpoint("sink.before_presenting")
            all_ours &= self._store.create(f"{self._folder}/{name}", data)
        return all_ours


@contextmanager
def answered(path: str) -> Iterator[None]:
    """Whatever an object store raises is LakeUnavailable: a later try may pass. `reason` says which kind of trouble it is."""
    try:
        yield
    except (OSError, BaseError) as exc:
        reason, retry_after = diagnosis(exc)
        raise LakeUnavailable(f"{path}: {words(exc)}", retry_after=retry_after, path=path, reason=reason) from exc


def diagnosis(exc: Exception) -> tuple[str, float]:
    """`refused`, `no_place`, `unsupported`, `busy` or `away`, and the seconds after which another try makes sense."""
    text = str(exc)
    if _no_place(exc):
        return "no_place", 30.0
    if isinstance(exc, (PermissionDeniedError, UnauthenticatedError)) or "AccessDenied" in text:
        return "refused", 30.0
    if isinstance(exc, NotSupportedError) or "501 Not Implemented" in text or "NotImplemented" in text:
        return "unsupported", 30.0
    if any(sign in text for sign in ("503", "429", "SlowDown")):
        return "busy", 5.0
    return "away", 1.0


def _no_place(exc: Exception) -> bool:
    text = str(exc)
    return any(sign in text for sign in _NO_PLACE)


def words(exc: Exception) -> str:
    """An obstore error in one line: its own words, with the code and message out of an XML answer, without the debug dump."""
    text = str(exc).partition("\n\nDebug source")[0]
    said = [match.group(1) for name in ("Code", "Message") if (match := re.search(rf"<{name}>([^<]*)</{name}>", text))]
    head = " ".join(text.partition("<?xml")[0].partition("<Error>")[0].split()).rstrip(": ")
    return f"{type(exc).__name__}: {head[:400]}" + (f" ({': '.join(said)})" if said else "")
