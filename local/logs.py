"""The log files of the stack's processes: their last lines, and what comes after them, over rotations."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO


def last_lines(file: Path, count: int) -> list[str]:
    """Without line ends; none when the file is not there yet."""
    try:
        with file.open(errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, maxlen=count)]
    except OSError:
        return []


class Tail:
    """Follows one file by name, from its end at first, from the start of each file that takes its place."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: TextIO | None = None
        self._rest = ""
        self._reopen(at_end=True)

    def new_lines(self) -> list[str]:
        """Whole lines written since the last call."""
        lines = self._read()
        if self._replaced():
            lines += self._read()
            self._reopen(at_end=False)
            lines += self._read()
        return lines

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _read(self) -> list[str]:
        if self._open is None:
            return []
        *lines, self._rest = (self._rest + self._open.read()).split("\n")
        return lines

    def _replaced(self) -> bool:
        try:
            now = self._file.stat()
        except OSError:
            return False
        if self._open is None:
            return True
        held = os.fstat(self._open.fileno())
        return held.st_ino != now.st_ino or now.st_size < self._open.tell()

    def _reopen(self, *, at_end: bool) -> None:
        self.close()
        try:
            self._open = self._file.open(errors="replace")
        except OSError:
            return
        if at_end:
            self._open.seek(0, 2)


def follow(files: dict[str, Path], count: int, going: Callable[[], bool]) -> Iterator[tuple[str, str]]:
    """(name, line): the last `count` lines of each file, then new ones while `going()`."""
    tails = {name: Tail(file) for name, file in files.items()}
    try:
        for name, file in files.items():
            yield from ((name, line) for line in last_lines(file, count))
        while going():
            fresh = [(name, line) for name, tail in tails.items() for line in tail.new_lines()]
            yield from fresh
            if not fresh:
                time.sleep(0.2)
    finally:
        for tail in tails.values():
            tail.close()
