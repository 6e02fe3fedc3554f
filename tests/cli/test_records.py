"""`hourmark query` in any width: a table where it fits, else one field a line; nothing is broken in the middle of a word."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cli import records
from hourmark.hours import parse_label
from tests.cli.conftest import Command
from tests.cli.lakes import add_hour

SEVEN = parse_label("2026-03-01T07")
NAMES = [f"a_column_with_a_long_name_{number}" for number in range(20)]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    place = tmp_path / "lake"
    rows = [{"_event_id": f"id-{row}"} | dict.fromkeys(NAMES, f"value {row}") for row in range(3)]
    add_hour(place, "wide.event", SEVEN, rows)
    monkeypatch.setenv("HOURMARK_LAKE_URL", place.as_uri())


def test_wide_rows_are_records_in_a_pipe(lake: None, command: Command) -> None:
    said = command("query", "SELECT * FROM wide_event ORDER BY 1")
    lines = said.out.splitlines()
    assert len(lines) == 3 * (1 + len(NAMES) + 1)
    assert [line for line in lines if line.startswith("─[")] == [f"─[ {number} ]".ljust(len(lines[0]), "─") for number in (1, 2, 3)]
    assert {line.split("  ")[0] for line in lines if not line.startswith("─")} == {"_event_id", *NAMES}
    values = {line.index("value") for line in lines if "value" in line}
    assert len(values) == 1, "values stand below one another"


def test_narrow_rows_stay_a_table(lake: None, command: Command) -> None:
    said = command("query", f"SELECT _event_id, {NAMES[0]} FROM wide_event ORDER BY 1")
    assert "─[" not in said.out
    assert "id-0        value 0" in said.out


def test_wide_results_without_rows(lake: None, command: Command) -> None:
    said = command("query", "SELECT * FROM wide_event WHERE false")
    assert said.out.startswith("no rows; columns: _event_id, a_column_with_a_long_name_0, ")


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_on_a_terminal_its_width_decides(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    wide = (width - 11) // 2
    records.print_rows(("one", "two"), [("x" * wide, "y" * wide)])
    assert "─[ 1 ]" not in terminal.getvalue()
    records.print_rows(("one", "two"), [("x" * width, "y")])
    assert "─[ 1 ]" in terminal.getvalue()
    assert "x" * width in terminal.getvalue()


def test_lines_of_a_value_stand_below_one_another() -> None:
    said = [line.plain for line in records.records(("a", "long"), [("1\n2", None), (True, 1_000)])]
    assert said == ["─[ 1 ]───", "a     1\n      2", "long  -", "─[ 2 ]───", "a     yes", "long  1,000"]


def test_control_characters_do_nothing_to_the_terminal() -> None:
    assert "\x1b" not in "".join(line.plain for line in records.records(("\x1b[2J",), [("\x1b]0;x\x07",)]))


def test_many_rows_are_aligned_without_a_drawn_table(capsys: pytest.CaptureFixture[str]) -> None:
    records.print_list(("name", "n"), [(f"a.t{number}", number) for number in range(records.MANY + 1)], ["n"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == records.MANY + 4
    assert {len(line) for line in lines if line} == {len("a.t500  500")}


def test_a_list_too_wide_for_the_terminal_keeps_its_names_whole(capsys: pytest.CaptureFixture[str]) -> None:
    name = "team.a_name_that_is_long" * 10
    records.print_list(("event type", "n"), [(name, 1)], ["n"])
    assert capsys.readouterr().out.splitlines()[2] == f"{name}  1"
