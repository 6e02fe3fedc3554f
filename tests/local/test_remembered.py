"""The memory of a home: whole or absent, private, and refused when it is not understood."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from local.errors import StackUnavailable
from local.remembered import Remembered, read, write


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    memory = Remembered(receiver="http://127.0.0.1:1", ports={"receiver": 1}, told={"A": "b"}, hour_seconds=15)
    write(tmp_path, memory)
    assert read(tmp_path) == memory
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]


def test_an_empty_home_has_no_memory(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    assert read(tmp_path / "nowhere") is None


def test_every_home_has_a_write_key_and_a_name_of_its_own() -> None:
    one, two = Remembered(), Remembered()
    assert one.write_key != two.write_key
    assert one.stack != two.stack
    assert len(one.write_key) > 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is damaged"),
        ("[1, 2]", "is damaged"),
        ("{}", "an older version"),
        (json.dumps({"layout": 0, "pid": 12}), "an older version"),
        (json.dumps({"layout": 99}), "a newer version"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_remedy(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(StackUnavailable, match=said) as raised:
        read(tmp_path)
    assert "HOURMARK_HOME" in str(raised.value)
