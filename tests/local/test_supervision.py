"""The supervisor's configuration, the processes it is given, and the place of its socket."""

from __future__ import annotations

import configparser
import shlex
import socket
from pathlib import Path

import psutil
import pytest

from local import family
from local.errors import StackUnavailable
from local.lock import alone
from local.plan import plan
from local.programs import STAGES, Program, environment, programs
from local.progress import silent
from local.settings import StackSettings
from local.supervision import LONGEST_SOCKET, configuration, connect, socket_path


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    return parser


def test_every_program_is_restarted_stopped_in_order_and_logged(tmp_path: Path) -> None:
    home = tmp_path / "with space and 100% é"
    found = [Program(stage, stage, ["python", "-m", "a b"], {"A": "1", "B": "x:2"}) for stage in STAGES]
    parser = parsed(configuration(home, "abc", found))
    for program in found:
        section = parser[f"program:{program.name}"]
        assert shlex.split(section["command"])[-3:] == ["python", "-m", "a b"]
        assert (section["autorestart"], section["stopsignal"], section["redirect_stderr"]) == ("true", "TERM", "true")
        assert section["environment"] == 'A="1",B="x:2"'
        assert section["stdout_logfile"] == f"{home}/logs/{program.name}.log".replace("%", "%%")
    # supervisord stops the highest number first
    assert [int(parser[f"program:{stage}"]["priority"]) for stage in STAGES] == sorted(range(10, 10 + len(STAGES)))
    assert STAGES[0] == "kafka"
    assert STAGES[-1] == "receiver"


def test_services_are_told_where_everything_is(tmp_path: Path) -> None:
    settings = StackSettings(home=tmp_path, kafka="127.0.0.1:1", redis_url="redis://127.0.0.1:2/0", receivers=2, hour_seconds=20)
    memory = plan(settings, None, {})
    told = environment(settings, memory)
    assert told["HOURMARK_KAFKA"] == "127.0.0.1:1"
    assert told["HOURMARK_REGISTRY_LOCAL_WRITE_KEY"] == memory.write_key
    assert told["HOURMARK_LAKE_URL"] == f"file://{tmp_path}/lake"
    assert told["HOURMARK_HOUR_ANCHOR"] == memory.hour_anchor
    found = programs(settings, memory, lambda room: ["run", room])
    assert [p.name for p in found] == ["registry", "sinks-1", "sinks-2", "dedup-1", "dedup-2", "receiver-1", "receiver-2"]
    assert {p.command[1] for p in found} == {"registry", "sinks", "streams", "receiver"}
    assert len({p.environment["HOURMARK_METRICS_LISTEN"] for p in found}) == len(found)


def test_a_home_with_a_long_path_has_its_socket_elsewhere_in_private() -> None:
    assert socket_path(Path("/tmp/short")) == Path("/tmp/short/run/supervisor.sock")
    long, other = Path("/tmp/" + "x" * 100), Path("/tmp/" + "y" * 100)
    path = socket_path(long)
    assert len(str(path)) <= LONGEST_SOCKET
    assert path != socket_path(other)
    assert path == socket_path(long)
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_stale_socket_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    stale = socket_path(tmp_path)
    assert connect(tmp_path, "abc") is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    assert stale.exists()
    assert connect(tmp_path, "abc") is None


def test_a_pid_file_is_never_believed(tmp_path: Path) -> None:
    """It names this test's own process, which nobody ends."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisord.pid").write_text(f"{psutil.Process().pid}\n")
    assert connect(tmp_path, "abc") is None
    assert family.members(tmp_path, "abc") == []


def test_one_start_or_stop_at_a_time(tmp_path: Path) -> None:
    said: list[str] = []
    with alone(tmp_path, silent):
        with pytest.raises(StackUnavailable, match="still at work"), alone(tmp_path, said.append, patience=0.2):
            pass
        assert said == ["waiting for another `hourmark up` or `down` in this home"]
    with alone(tmp_path, silent, patience=0.2):
        pass


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackUnavailable, match=r"file/home.* cannot be written .*HOURMARK_HOME"), alone(tmp_path / "file" / "home", silent):
        pass
