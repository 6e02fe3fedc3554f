"""What `tail`, `trace` and `query --open` say to a mistake, before anything is asked of anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.watch.fate import COLUMNS
from hourmark.hours import parse_label
from tests.cli.conftest import Command
from tests.cli.lakes import add_hour


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tail", "a.b", "--only", "accept"), "there are accepted, duplicate, rejected"),
        (("tail", "a.b", "--where", "ms_played"), "is no condition"),
        (("tail", "a.b", "--since", "ten minutes"), "is no span of time"),
        (("tail", "a.b", "--since", "10m", "--from-start"), "exclude each other"),
        (("tail", "a.b", "--id", "17"), "is no event id"),
        (("trace", "17"), "is no event id"),
        (("trace", "0195f9a0-0000-7000-8000-000000000000", "--since", "x"), "is no span of time"),
    ],
)
def test_a_mistake_is_explained(command: Command, arguments: tuple[str, ...], words: str) -> None:
    said = command(*arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_without_a_platform(command: Command) -> None:
    for arguments in (("tail", "a.b"), ("trace", "0195f9a0-0000-7000-8000-000000000000"), ("query", "--open", "SELECT 1")):
        said = command(*arguments)
        assert said.code == 3
        assert "no stack is running here" in said.err


def test_with_a_lake_alone_sealed_rows_are_all_that_is_known(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = tmp_path / "lake"
    add_hour(lake, "flight.departed", parse_label("2026-03-01T07"), [dict.fromkeys(COLUMNS, 0) | {"_event_id": "a", "delay": 3}])
    monkeypatch.setenv("HOURMARK_LAKE_URL", lake.as_uri())
    said = command("query", "--open", "SELECT delay, _final FROM flight_departed", "--json")
    assert (said.code, json.loads(said.out)) == (0, [{"delay": 3, "_final": True}])
    assert "rows that only Kafka has are left out" in said.err
    unknown = command("trace", "0195f9a0-0000-7000-8000-000000000000", "--json")
    assert (unknown.code, json.loads(unknown.out)["found"]) == (1, False)
