"""`hourmark query` and `hours`: what an analyst sees, and what a mistake says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hourmark.hours import parse_label
from tests.cli.conftest import Command
from tests.cli.lakes import add_hour

SEVEN = parse_label("2026-03-01T07")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> Path:
    place = tmp_path / "it's a lake"
    add_hour(place, "flight.departed", SEVEN, [{"_event_id": "a", "delay": 3}, {"_event_id": "b", "delay": 5}], duplicates=2, delay=31.5)
    add_hour(place, "flight.departed", SEVEN + 1, [{"_event_id": "c", "delay": 7, "gate": "A1"}])
    add_hour(place, "weather.observed", SEVEN, [])
    monkeypatch.setenv("HOURMARK_LAKE_URL", place.as_uri())
    return place


def test_both_names_of_an_event_type_work(lake: Path, command: Command) -> None:
    for name in ("flight_departed", '"flight.departed"'):
        said = command("query", f"SELECT count(*) AS n, sum(delay) AS delay FROM {name}", "--json")
        assert (said.code, json.loads(said.out)) == (0, [{"n": 3, "delay": 15}])


def test_a_column_added_later_is_null_in_earlier_hours(lake: Path, command: Command) -> None:
    said = command("query", "SELECT _event_id, gate FROM flight_departed ORDER BY 1", "--csv")
    assert said.out.split() == ["_event_id,gate", "a,", "b,", "c,A1"]


def test_an_hour_without_its_marker_is_not_read(lake: Path, command: Command) -> None:
    (lake / "events/flight.departed/dt=2026-03-01/hour=08/_SUCCESS").unlink()
    assert json.loads(command("query", "SELECT count(*) AS n FROM flight_departed", "--json").out) == [{"n": 2}]


def test_a_table_is_printed_for_people(lake: Path, command: Command) -> None:
    said = command("query", "SELECT _event_id AS id, delay FROM flight_departed ORDER BY 2")
    assert "delay" in said.out
    assert "a" in said.out


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM flight_departd", "did you mean flight_departed?"),
        ("SELECT nothing FROM flight_departed", "nothing"),
        ("SELECT 1/", "syntax error"),
        ("", "no statement"),
        ("/* nothing */", "no statement"),
        ("SELECT \x01", "event types are views"),
    ],
)
def test_wrong_sql_is_explained(lake: Path, command: Command, sql: str, words: str) -> None:
    said = command("query", sql)
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err


def test_data_is_shown_as_it_is(lake: Path, command: Command) -> None:
    said = command("query", "SELECT '[bold]b[/nope] :x: ' || chr(27) || '[2J' AS \"[/red]\"")
    assert said.code == 0
    assert "[/red]" in said.out
    assert "[bold]b[/nope] :x: \\x1b[2J" in said.out


def test_a_type_without_a_sealed_hour_is_no_unknown_type(lake: Path, command: Command) -> None:
    (lake / "events" / "player.song_played").mkdir()
    said = command("query", "SELECT * FROM player_song_played")
    assert said.code == 2
    assert "no sealed hour yet" in said.err


def test_no_lake_is_unreachable(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURMARK_LAKE_URL", "file:///nowhere/at/all")
    assert command("query", "SELECT 1").code == 3


def test_hours_of_an_unknown_type(lake: Path, command: Command) -> None:
    said = command("hours", "flight.depated")
    assert said.code == 2
    assert "did you mean flight.departed?" in said.err
