"""The examples of the client's README run as they stand (with the addresses of this test)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .servers import ScriptedReceiver, serving

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "client" / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
def test_http_examples(number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = ScriptedReceiver()
    with serving(receiver) as url:
        source = BLOCKS[number].replace("http://127.0.0.1:8080", url).replace("…", "key")
        exec(compile(source, "README.md", "exec"), {"__name__": "readme"})
    assert "stored" in capsys.readouterr().out
    assert sum(len(body["events"]) for body in receiver.bodies) == 2
