"""Log files: their end, and what follows over a rotation."""

from __future__ import annotations

from pathlib import Path

from local.logs import Tail, follow, last_lines


def test_last_lines_of_a_file_and_of_none(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    assert last_lines(file, 3) == []
    file.write_text("1\n2\n3\n4\n")
    assert last_lines(file, 3) == ["2", "3", "4"]
    assert last_lines(file, 0) == []


def test_a_tail_goes_on_over_a_rotation_and_keeps_half_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("old\n")
    tail = Tail(file)
    with file.open("a") as log:
        log.write("one\ntw")
        log.flush()
        assert tail.new_lines() == ["one"]
        log.write("o\n")
    file.rename(tmp_path / "a.log.1")
    file.write_text("three\n")
    assert tail.new_lines() == ["two", "three"]
    tail.close()


def test_a_tail_waits_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "a.log")
    assert tail.new_lines() == []
    (tmp_path / "a.log").write_text("first\n")
    assert tail.new_lines() == ["first"]
    tail.close()


def test_follow_begins_with_the_end_of_each_file(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.log" for name in "ab"}
    files["a"].write_text("1\n2\n")
    lines = follow(files, 1, lambda: True)
    assert next(lines) == ("a", "2")
    files["b"].write_text("new\n")
    assert next(lines) == ("b", "new")
