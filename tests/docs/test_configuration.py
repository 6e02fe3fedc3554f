import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_configuration_page_is_current() -> None:
    found = runpy.run_path(str(ROOT / "docs" / "configuration.py"))
    assert found["page"]() == (ROOT / "docs" / "configuration.md").read_text(), "run: python docs/configuration.py"


@pytest.mark.parametrize("room", ["registry", "receiver", "dedup", "streams", "sinks"])
def test_every_setting_says_what_it_means(room: str) -> None:
    found = runpy.run_path(str(ROOT / "docs" / "configuration.py"))
    assert f"## {room}" in found["page"]()
    lines = [line for line in found["page"]().splitlines() if line.startswith("| `HOURMARK_")]
    assert [line for line in lines if line.endswith("|  |")] == []
