"""Questions to git, and its refusals in the command line's words. Reads only; knows commits, files and blobs, nothing of declarations."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from registry.document import MAX_BYTES

from ..failures import WrongInput

TIMEOUT_S = 60.0
DEFAULT_BASES = ("origin/HEAD", "origin/main", "origin/master")
_LINK = "120000"
_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
_FILES = ("100644", "100755", _LINK)


class Blob(NamedTuple):
    """A file's content as git names it; `link`: it holds the path of another file."""

    name: str
    link: bool


State = dict[str, Blob]  # path from the repository's root → blob


class Change(NamedTuple):
    """A commit, and what stood before it at the paths it touched (None: nothing)."""

    commit: str
    before: dict[str, Blob | None]


class NoGit(Exception):
    """There is no history to compare with, and why."""


class Repository:
    """A work tree. Raises NoGit where there is none."""

    def __init__(self, folder: Path) -> None:
        self._place = folder
        self.root = self._line("rev-parse", "--show-toplevel")

    def commit(self, ref: str) -> str:
        """The commit a name stands for. Raises WrongInput."""
        try:
            return self._line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        except NoGit:
            shallow = "; this clone is shallow: fetch more of it (actions/checkout: fetch-depth: 0)" if self.shallow() else ""
            remedy = f"see `git branch --all`, or fetch it: git fetch origin {ref.removeprefix('origin/')}{shallow}"
            raise WrongInput(f"git knows no commit {ref!r:.200}", where=self.root, remedy=remedy) from None

    def default_base(self) -> str:
        """Where this work left the main branch, else HEAD. Raises NoGit when nothing is committed yet."""
        try:
            head = self._line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except NoGit:
            raise NoGit("nothing is committed yet") from None
        for ref in DEFAULT_BASES:
            try:
                tip = self._line("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            except NoGit:
                continue
            return self.merge_base(tip) or tip
        return head

    def merge_base(self, commit: str) -> str | None:
        """The newest commit that this work and `commit` share."""
        try:
            return self._line("merge-base", "HEAD", commit)
        except NoGit:
            return None

    def shallow(self) -> bool:
        """True when older history was not fetched."""
        try:
            return self._line("rev-parse", "--is-shallow-repository") == "true"
        except NoGit:
            return False

    def state(self, commit: str, folders: Sequence[str]) -> State:
        """The files below these folders at a commit. Raises NoGit."""
        found = {}
        for line in _split(self._ask("ls-tree", "-r", "-z", commit, "--", *folders)):
            facts, _, path = line.partition("\t")
            mode, _, name = facts.split(" ")
            if mode in _FILES:
                found[path] = Blob(name, mode == _LINK)
        return found

    def changes(self, commit: str, folders: Sequence[str], at_most: int) -> Iterator[Change]:
        """The commits of its first-parent line that touched these folders, newest first: every state the branch has been in."""
        asked = ("log", "--first-parent", "-m", "--raw", "--no-renames", "--no-abbrev", "-z", "--format=%x01%H", f"-n{at_most}")
        words = iter(_split(self._ask(*asked, commit, "--", *folders)))
        current: Change | None = None
        for word in words:
            word = word.lstrip("\n")
            if word.startswith("\x01"):
                if current is not None:
                    yield current
                current = Change(word[1:], {})
            elif word.startswith(":") and current is not None:
                mode, _, name, _, _ = word[1:].split(" ")
                current.before[next(words)] = Blob(name, mode == _LINK) if mode in _FILES else None
        if current is not None:
            yield current

    def inside(self, path: str) -> str:
        """A path of the disk as the repository counts it."""
        folder, name = os.path.split(os.path.abspath(path))
        return posixpath.normpath(os.path.relpath(os.path.join(os.path.realpath(folder), name), self.root))

    def _line(self, *asked: str) -> str:
        return self._ask(*asked).decode("utf-8", "surrogateescape").rstrip("\n")

    def _ask(self, *asked: str) -> bytes:
        place = self._place if self._place.is_dir() else self._place.parent
        place = Path(getattr(self, "root", place))
        try:
            done = subprocess.run(command(place, *asked), capture_output=True, check=False, timeout=TIMEOUT_S, env=environment())
        except FileNotFoundError:
            raise NoGit("git is not installed") from None
        except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
            raise NoGit(f"git did not answer: {exc}") from None
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise NoGit(said.removeprefix("fatal: ") or f"git {asked[0]} ended with {done.returncode}")
        return done.stdout


class Blobs:
    """Contents by name, from one git process for all of them. Use as a context."""

    def __init__(self, repository: Repository) -> None:
        asked = command(Path(repository.root), "cat-file", "--batch")
        self._git = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._git.communicate()

    def read(self, name: str) -> bytes | None:
        """A blob's bytes; None when it is too large or not there (a clone may leave blobs out)."""
        asking, answers = self._git.stdin, self._git.stdout
        assert asking is not None
        assert answers is not None
        try:
            asking.write(f"{name}\n".encode())
            asking.flush()
        except BrokenPipeError:
            return None
        facts = answers.readline().split()
        if len(facts) != 3:
            return None
        left = int(facts[2]) + 1
        if left > MAX_BYTES + 1:
            while left > 0:
                left -= len(answers.read(min(left, MAX_BYTES)) or b"\n" * left)
            return None
        return answers.read(left)[:-1]


def command(place: Path, *asked: str) -> list[str]:
    return ["git", "-C", str(place), "--literal-pathspecs", *asked]


def environment() -> dict[str, str]:
    """Git's words in English, no question at the terminal, no lock for a mere look; and what a hook's git says of its place is not ours."""
    plain = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    return {**plain, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def _split(answer: bytes) -> list[str]:
    return answer.decode("utf-8", "surrogateescape").split("\0")[:-1]
