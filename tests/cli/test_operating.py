"""`hours`, `seal`, `lake sweep` and `fsck` on a lake that a sink has written: what an operator sees and can do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hourmark.hours import label
from sinks import layout
from sinks.disk import DiskStore
from tests.cli.conftest import Command
from tests.sinks.fakes import HOUR, Feed
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import TWO, TYPE, fill, manifest


@pytest.fixture
def room(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Room:
    """One sealed hour; the second is blocked by partition 1; the clock stands in the fourth."""
    lake = tmp_path / "lake"
    monkeypatch.setenv("HOURMARK_LAKE_URL", lake.as_uri())
    monkeypatch.setattr("time.time", lambda: (HOUR + 3) * 3600.0 + 120)
    room = Room(*TWO, store=DiskStore(lake), now=(HOUR + 1) * 3600.0 + 12)
    for feed in (Feed(0), Feed(1)):
        fill(feed, HOUR, range(feed.partition * 100, feed.partition * 100 + 10))
        feed.barrier(HOUR)
        fill(feed, HOUR + 1, range(feed.partition * 100 + 10, feed.partition * 100 + 15))
        if not feed.partition:
            feed.barrier(HOUR + 1)
        room.drain(feed)
    assert room.seal() == 1
    return room


def asked(command: Command, *arguments: str) -> Any:
    said = command(*arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_hours_say_what_blocks_them(room: Room, command: Command) -> None:
    found = asked(command, "hours", TYPE)
    assert [(row["hour"], row["state"], [(b["partition"], b["reason"]) for b in row["blocked_by"]]) for row in found["hours"]] == [
        (label(HOUR), "sealed", []),
        (label(HOUR + 1), "open", [(1, "no_barrier")]),
        (label(HOUR + 2), "open", [(0, "no_barrier"), (1, "no_barrier")]),
        (label(HOUR + 3), "open", [(None, "not_ended")]),
    ]
    (short,) = asked(command, "hours")["types"]
    assert (short["type"], short["watermark"], short["open_hours"]) == (TYPE, label(HOUR + 1), 3)
    assert short["seal_delay_seconds"] == {"last": 12.0, "p50": 12.0, "p99": 12.0}
    assert [block["partition"] for block in short["blocked_by"]] == [1]
    for arguments in (("hours",), ("hours", TYPE)):
        assert "p1: dedup has not closed the hour here" in command(*arguments).out


def test_seal_by_force_and_what_readers_see(room: Room, command: Command) -> None:
    for arguments, code in ((("--reason", "x"), 2), (("--force",), 2), (("--force", "--reason", " "), 2)):
        assert command("seal", TYPE, label(HOUR + 1), *arguments).code == code
    said = command("seal", TYPE, label(HOUR + 2), "--force", "--reason", "broker lost")
    assert (said.code, "in order" in said.err) == (1, True)
    found = asked(command, "seal", TYPE, label(HOUR + 1), "--force", "--reason", "broker lost", "--wait", "0")
    assert (found["forced"], found["missing"], found["presented"]) == (True, [1], False)
    room.seal()
    there = manifest(room, HOUR + 1)
    assert (there.complete, there.totals.rows, there.forced and there.forced.reason) == (False, 10, "broker lost")  # type: ignore[union-attr]
    row = asked(command, "hours", TYPE)["hours"][1]
    assert (row["state"], row["complete"], row["forced"]) == ("sealed", False, "broker lost")
    assert "FORCED" in command("hours", TYPE).out
    assert command("fsck", "--deep").code == 0


def test_sweep_says_first_and_then_does(room: Room, command: Command) -> None:
    lake = room.store.root
    stray = lake / layout.part(TYPE, 0, f"{0:020d}-{9:020d}-{label(HOUR)}-s1-0123456789abcdef")
    stray.write_bytes(b"left by a crash")
    (lake / layout.STAGING / "hour-1").mkdir()
    (lake / layout.STAGING / "hour-1" / "part").write_bytes(b"left by a publisher")
    for path in lake.rglob("*"):
        os.utime(path, (0, 0))
    before = {path for path in lake.rglob("*") if path.is_file()}
    would = asked(command, "lake", "sweep", "--dry-run")
    assert would["files"] == {"unnamed": 1, "presented": 2, "staging": 1}
    assert {path for path in lake.rglob("*") if path.is_file()} == before
    assert asked(command, "lake", "sweep")["files"] == would["files"]
    assert not stray.exists()
    assert {str(path.relative_to(lake)) for path in before - {path for path in lake.rglob("*") if path.is_file()}} == {
        path if not path.endswith("hour-1") else f"{path}/part" for path in would["paths"]
    }
    assert asked(command, "lake", "sweep")["files"] == {}
    assert command("fsck", "--deep").code == 0


def test_fsck_over_a_range(room: Room, command: Command) -> None:
    assert asked(command, "fsck", TYPE, "--from", label(HOUR), "--to", label(HOUR), "--deep")["findings"] == []
    (file,) = (room.store.root / layout.hour_folder(TYPE, HOUR)).glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    said = command("fsck", TYPE, "--json")
    assert (said.code, [finding["code"] for finding in json.loads(said.out)["findings"]]) == (1, ["changed_file"])
    assert command("fsck", TYPE, "--from", label(HOUR + 1)).code == 0
    assert command("fsck", TYPE, "--from", "yesterday").code == 2
