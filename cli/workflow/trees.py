"""Where a folder of declarations is read from: the disk as it is now. `history.py` reads the same from git.

Bounded: files of at most 1 MiB, ordinary files only (a pipe would never end), links to folders are not followed (they can go in circles).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Protocol

from registry.document import MAX_BYTES

from ..failures import WrongInput

DECLARATIONS: Final = (".yaml", ".yml", ".json")
SCHEMAS: Final = (".avsc",)
MAX_FILES: Final = 50_000


class Unreadable(Exception):
    """Why a file's bytes cannot be had, in words for its author."""


class Tree(Protocol):
    """Files by path; paths are those that messages show, with `/` between the steps."""

    def paths(self) -> list[str]:
        """Every declaration and schema file of the folder, sorted. Raises WrongInput."""
        ...

    def read(self, path: str) -> bytes:
        """A file's bytes, wherever it stands. Raises Unreadable."""
        ...


class Disk:
    """A folder, or a single declaration, on the disk. Paths are relative to the working folder where that is shorter."""

    def __init__(self, folder: Path) -> None:
        if not folder.exists():
            raise WrongInput("no such file or folder", where=str(folder))
        self.folder = folder

    def paths(self) -> list[str]:
        if not self.folder.is_dir():
            return [shown(self.folder)]
        found: list[str] = []
        for place, folders, files in os.walk(self.folder, onerror=_stop):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [shown(Path(place, name)) for name in files if is_wanted(name)]
            if len(found) > MAX_FILES:
                raise WrongInput(f"more than {MAX_FILES} files", where=str(self.folder), remedy="name the folder of the declarations")
        return sorted(found)

    def read(self, path: str) -> bytes:
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable("it is no ordinary file")
                if found.st_size > MAX_BYTES:
                    raise Unreadable(f"it has {found.st_size:,} bytes, at most {MAX_BYTES:,} are read")
                return file.read(MAX_BYTES)
        except (OSError, ValueError) as exc:
            raise Unreadable(getattr(exc, "strerror", None) or str(exc)) from None


def is_wanted(name: str) -> bool:
    """True for files that a folder of declarations consists of."""
    return not name.startswith(".") and name.endswith(DECLARATIONS + SCHEMAS)


def shown(path: Path) -> str:
    """A path as messages show it."""
    absolute = Path(os.path.abspath(path))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return absolute.as_posix()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _stop(exc: OSError) -> None:
    raise WrongInput(f"the folder cannot be read: {exc.strerror}", where=str(exc.filename)) from exc
