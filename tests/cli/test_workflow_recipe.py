"""The CI recipe in the docs, run as it stands there: a branch that breaks readers is stopped at the right line, its mend passes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.git_folder import GitFolder, field, optional
from tests.cli.recipe import by_hand, shell, step


@pytest.fixture
def clone(tmp_path: Path) -> GitFolder:
    """A clone on a branch of its own; its origin's main has one event type."""
    origin = GitFolder(tmp_path / "origin")
    origin.declare("song.played", field("track", "string"), field("ms", "long"))
    origin.commit()
    made = GitFolder(tmp_path / "clone")
    made.git("remote", "add", "origin", str(origin.root))
    made.git("fetch", "-q", "origin")
    made.git("checkout", "-q", "-b", "work", "origin/main")
    return made


def test_the_recipe_of_a_pull_request(clone: GitFolder) -> None:
    clone.declare("song.played", field("track", "string"), field("ms", "int"))
    clone.commit()
    ran = shell(step("check"), clone.root, GITHUB_BASE_REF="main")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith("::error file=events/song.played.avsc,line=5,title=song.played%3A ")
    clone.declare("song.played", field("track", "string"), field("ms", "long"), optional("ms_left", "int"))
    clone.commit()
    ran = shell(step("check"), clone.root, GITHUB_BASE_REF="main")
    assert (ran.code, ran.err) == (0, "")
    assert "::error" not in ran.out


def test_the_recipe_by_hand(clone: GitFolder) -> None:
    clone.declare("song.played", field("track", "string"))
    assert shell(by_hand(), clone.root).code == 1
    suite = ElementTree.parse(clone.root / "check.xml").getroot()[0]
    assert suite.get("failures") == "1"
