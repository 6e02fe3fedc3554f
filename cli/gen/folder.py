"""The folder that holds generated code: what should be in it, what is in it, how the two differ. Touches only files that bear the mark."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..failures import WrongInput
from . import python, typescript
from .model import Module, Source, file_stem, module_of


class Language(NamedTuple):
    """`mark` stands in every generated file; `extra` names the files beside the modules."""

    suffix: str
    mark: str
    allowed: Callable[[str], str]
    text_of: Callable[[Module], str]
    extra: Callable[[list[str]], dict[str, str]]


PYTHON: Final = Language(python.SUFFIX, python.MARK, python.allowed, python.text_of, python.extra_files)
TYPESCRIPT: Final = Language(typescript.SUFFIX, typescript.MARK, typescript.allowed, typescript.text_of, typescript.extra_files)
_REVISION: Final = re.compile(r"(?m)(^REVISION: Final = |\brevision: )\d+")
_HEAD: Final = 4096


class Difference(NamedTuple):
    """File names: to be made, to be written again, to be removed."""

    missing: list[str]
    stale: list[str]
    left_over: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.left_over)


class Folder:
    """`whole`: the sources are all there is, so modules of other event types go."""

    def __init__(self, where: Path, language: Language, sources: Sequence[Source], *, whole: bool) -> None:
        self._where, self._language, self._whole = where, language, whole
        self._there = self._generated()
        modules = {file_stem(source.event): language.text_of(module_of(source, language.allowed)) for source in sources}
        self._wanted = {f"{stem}{language.suffix}": text for stem, text in modules.items()}
        extra = set(language.extra([]))
        stems = set(modules) if whole else set(modules) | {Path(name).stem for name in self._there if name not in extra}
        self._wanted |= language.extra(sorted(stems))

    def difference(self) -> Difference:
        """What `write` would change. A revision alone is no difference: the code would be the same."""
        there = self._there
        missing = [name for name in self._wanted if name not in there]
        stale = [name for name, text in self._wanted.items() if name in there and _bare(there[name]) != _bare(text)]
        left_over = [name for name in there if name not in self._wanted] if self._whole else []
        return Difference(sorted(missing), sorted(stale), sorted(left_over))

    def write(self) -> Difference:
        """Bring the folder up to date; returns what changed. Raises WrongInput when a file of someone else stands in the way."""
        found = self.difference()
        for name in found.missing:
            if (self._where / name).exists():
                told = "this file is not generated, and would be overwritten"
                raise WrongInput(told, where=str(self._where / name), remedy="choose another folder with --out")
        self._where.mkdir(parents=True, exist_ok=True)
        for name, text in self._wanted.items():
            if self._there.get(name) != text:
                (self._where / name).write_text(text, encoding="utf-8")
        for name in found.left_over:
            (self._where / name).unlink()
        return found

    def _generated(self) -> Mapping[str, str]:
        found = {}
        if self._where.is_file():
            raise WrongInput("this is a file; generated code needs a folder", where=str(self._where), remedy="choose --out")
        for path in sorted(self._where.glob(f"*{self._language.suffix}")) if self._where.is_dir() else ():
            text = path.read_text(encoding="utf-8", errors="replace")
            if self._language.mark in text[:_HEAD]:
                found[path.name] = text
        return found


def _bare(text: str) -> str:
    return _REVISION.sub(r"\g<1>0", text)
