"""A program is held back while its volume has no room, says so once, and starts by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.kafka import ROOM, KafkaServer
from local.room import free_megabytes


def test_it_starts_at_once_where_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOM), "0", str(tmp_path), "echo", "here"], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("here\n", "")


def test_it_waits_says_so_once_and_then_becomes_the_program(tmp_path: Path) -> None:
    """The folder is a link: the volume behind it is another one later, as after an enlargement."""
    folder = tmp_path / "data"
    folder.symlink_to("/proc")  # a file system without any room
    assert free_megabytes(str(folder)) == 0
    said = tmp_path / "said"
    with said.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-u", str(ROOM), "1", str(folder), "echo", "here"], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while "held back" not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert child.poll() is None
        other = tmp_path / "other"
        other.symlink_to(tmp_path)
        os.replace(other, folder)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
    lines = said.read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["held back", "there is room", "here"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_kafka_is_held_back_by_the_volume_of_its_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.kafka.find_java", lambda: "java")
    monkeypatch.setattr("local.kafka.java_version", lambda program: 21)
    monkeypatch.setattr("local.kafka.kafka_jars", lambda: tmp_path)
    server = KafkaServer(tmp_path / "kafka")
    command = server.command()
    assert command[command.index(str(ROOM)) + 1 :][:3] == ["64", str(server.data), "java"]
