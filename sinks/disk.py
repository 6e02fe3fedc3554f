"""A lake on a local disk. Files are written aside, forced to the disk, then linked or renamed into place: seen whole, and for good.

obstore's own local store cannot force anything to the disk, so a power cut could leave a commit entry that names an empty part.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hourmark.crashpoints import crashpoint
from hourmark.errors import LakeUnavailable

from .layout import STAGING
from .store import Fill, Stored, digest


class DiskStore:
    """Store on a folder, made when it is missing."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        with translated(str(root)):
            (self.root / STAGING).mkdir(parents=True, exist_ok=True)

    def create(self, path: str, data: bytes) -> bool:
        with translated(path), self._aside() as aside:
            _write_durably(aside, _all(data))
            return self._link(aside, self.root / path)

    def read(self, path: str) -> bytes | None:
        with translated(path):
            try:
                return (self.root / path).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, path: str, fill: Fill) -> Stored:
        with translated(path), self._aside() as aside:
            stored = _write_durably(aside, fill)
            return stored if self._link(aside, self.root / path) else self.stored(path)

    def stored(self, path: str) -> Stored:
        with translated(path), (self.root / path).open("rb") as file:
            return digest(file)

    def names(self, folder: str, after: str = "") -> list[str]:
        return self._list(folder, after, files=True)

    def folders(self, folder: str) -> list[str]:
        return self._list(folder, "", files=False)

    def _list(self, folder: str, after: str, *, files: bool) -> list[str]:
        with translated(folder):
            try:
                with os.scandir(self.root / folder) as found:
                    return sorted(e.name for e in found if e.name > after and e.is_file() is files)
            except FileNotFoundError:
                return []

    def open(self, path: str) -> IO[bytes]:
        with translated(path):
            return (self.root / path).open("rb")

    def remove(self, path: str) -> None:
        with translated(path):
            place = self.root / path
            if path.startswith(f"{STAGING}/") and place.is_dir():  # what a publisher that died has left
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def publication(self, folder: str) -> _Aside:
        return _Aside(self, folder)

    def aged(self, folder: str) -> dict[str, float]:
        with translated(folder):
            try:
                with os.scandir(self.root / folder) as found:
                    return {entry.name: entry.stat().st_mtime for entry in found if entry.is_file()}
            except FileNotFoundError:
                return {}

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        aside = self.root / STAGING / f"{uuid.uuid4().hex}.tmp"
        try:
            yield aside
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()

    def _link(self, aside: Path, target: Path) -> bool:
        """`link` fails when the target exists, atomically, which `rename` does not."""
        _make_folder(target.parent)
        try:
            os.link(aside, target)
        except FileExistsError:
            return False
        _sync_folder(target.parent)
        crashpoint("lake.linked")
        return True


class _Aside:
    """Publication by one rename of a complete folder. Renaming onto a folder with files fails, so the first one wins."""

    def __init__(self, store: DiskStore, folder: str) -> None:
        self._store, self._target = store, store.root / folder
        self._aside = store.root / STAGING / f"hour-{uuid.uuid4().hex}"
        with translated(folder):
            self._aside.mkdir()

    def write(self, name: str, fill: Fill) -> Stored:
        with self._cleared(name):
            return _write_durably(self._aside / name, fill)

    def finish(self, last: list[tuple[str, bytes]]) -> bool:
        with self._cleared(str(self._target)):
            for name, data in last:
                _write_durably(self._aside / name, _all(data))
            _sync_folder(self._aside)
            _make_folder(self._target.parent)
            crashpoint("sink.before_presenting")
            try:
                self._aside.rename(self._target)
            except OSError:
                if not self._target.is_dir():
                    raise
                shutil.rmtree(self._aside, ignore_errors=True)
                return False
            _sync_folder(self._target.parent)
            return True

    @contextmanager
    def _cleared(self, what: str) -> Iterator[None]:
        """Nothing stays behind in staging when the disk refuses."""
        try:
            with translated(what):
                yield
        except BaseException:
            shutil.rmtree(self._aside, ignore_errors=True)
            raise


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Whatever a disk raises is LakeUnavailable: a later try may pass."""
    try:
        yield
    except OSError as exc:
        raise LakeUnavailable(f"{path}: {type(exc).__name__}: {exc}", path=path) from exc


def _all(data: bytes) -> Fill:
    def fill(file: IO[bytes]) -> None:
        file.write(data)

    return fill


def _write_durably(path: Path, fill: Fill) -> Stored:
    with path.open("x+b") as file:
        fill(file)
        stored = digest(file)
        crashpoint("lake.written")
        os.fsync(file.fileno())
        crashpoint("lake.synced")
    return stored


def _make_folder(path: Path) -> None:
    """mkdir -p whose new names survive a power cut."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
