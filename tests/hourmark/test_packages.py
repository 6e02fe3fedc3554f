"""What is installed is what is here: setup.cfg lists every package, or an image lacks it while a checkout does not."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_listed() -> None:
    said = ConfigParser()
    said.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(said["options"]["packages"].split())
    rooms = {name.partition(".")[0] for name in listed}
    here = {".".join(file.parent.relative_to(ROOT).parts) for room in rooms for file in (ROOT / room).rglob("__init__.py")}
    assert listed == here
