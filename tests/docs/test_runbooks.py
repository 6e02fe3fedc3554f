"""What runbooks and the operations page tell people to type, to set and to open is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from cli.app import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*(DOCS / "runbooks").glob("*.md"), DOCS / "operations.md", DOCS / "metrics.md"])
COMMAND = re.compile(r"(?:^\$ |`)hourmark ((?:[a-z][a-z-]*(?: |`|$))+)", re.M)
SETTINGS = set(re.findall(r"`(HOURMARK_\w+)`", (DOCS / "configuration.md").read_text()))


def headings(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def known(words: list[str]) -> bool:
    """Whether the words lead to a command."""
    command = get_command(app)
    for word in words:
        commands = getattr(command, "commands", None)
        if commands is None:
            return True  # the rest are arguments
        if word not in commands:
            return False
        command = commands[word]
    return True


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_commands_settings_and_links_exist(page: Path) -> None:
    text = page.read_text()
    for said in COMMAND.findall(text):
        assert known(said.replace("`", " ").split()), f"{page.name}: hourmark {said}"
    assert set(re.findall(r"HOURMARK_[A-Z_]+[A-Z]", text)) - SETTINGS - {"HOURMARK_REDIS_URL", "HOURMARK_AUTHOR"} == set()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in headings(file), f"{page.name}: {target}"


def test_the_check_knows_a_wrong_command() -> None:
    assert known(["dedup", "rebuild"])
    assert known(["hours", "anything"])
    assert not known(["repair"])
    assert not known(["dedup", "repair"])
