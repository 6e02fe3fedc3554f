"""The native stack as a whole, with real servers and stand-ins for the services: starts, faults, stops, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from local import family, remembered
from local.errors import PortTaken, StackUnavailable
from local.ports import free_port, is_free
from local.progress import Progress, silent
from local.settings import StackSettings
from local.stack import Stack
from local.supervision import socket_path
from tests.local.waiting import until

pytestmark = pytest.mark.real

DUMMY = Path(__file__).parents[1] / "local" / "dummy_service.py"
MakeStack = Callable[..., Stack]


def dummy(room: str) -> list[str]:
    return [sys.executable, "-S", str(DUMMY), room]


class BoundStack(Stack):
    """Ends with the test run, however that ends."""

    def up(self, wait: bool = True, on_progress: Progress = silent, *, bound: bool = True) -> bool:
        return super().up(wait, on_progress, bound=bound)


def new_stack(home: Path, kafka: str, valkey: str, environ: dict[str, str] | None = None, **settings: object) -> Stack:
    """A small stack on the shared servers."""
    chosen = {"home": home, "kafka": kafka, "redis_url": valkey, "dedup_workers": 1, "sink_workers": 1, **settings}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
    return BoundStack(StackSettings.model_validate(chosen), environ={**plain, **(environ or {})}, command_of=dummy)


@pytest.fixture
def make(tmp_path: Path, kafka: str, valkey: str) -> Iterator[MakeStack]:
    """New stacks, all ended with the test."""
    made: list[Stack] = []

    def make_stack(name: str = "home", **settings: object) -> Stack:
        made.append(new_stack(tmp_path / name, **{"kafka": kafka, "valkey": valkey, **settings}))
        return made[-1]

    yield make_stack
    for stack in made:
        stack.down()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: str) -> Iterator[Stack]:
    """One stack that is up, for tests that leave it so."""
    stack = new_stack(tmp_path_factory.mktemp("running") / "home", kafka, valkey)
    stack.up()
    yield stack
    stack.down()


def pids(stack: Stack) -> list[int]:
    return [process.pid for process in stack.status().processes if process.pid]


def everyone(stack: Stack) -> list[psutil.Process]:
    memory = remembered.read(stack.home)
    return family.members(stack.home, memory.stack) if memory else []


def test_up_is_ready_down_leaves_nothing_and_the_addresses_stay(make: MakeStack) -> None:
    stack, said = make(receivers=2), list[str]()
    assert stack.up(on_progress=said.append) is True
    status = stack.status()
    assert status.ready
    assert [p.name for p in status.processes] == ["registry", "sinks-1", "dedup-1", "receiver-1", "receiver-2"]
    assert all(p.ready for p in status.processes)
    assert status.as_json().keys() == {"receiver", "registry", "kafka", "redis", "lake", "hour_seconds", "write_key", "processes"}
    assert any(line.startswith("receiver") for line in said)
    assert stack.up(on_progress=said.append) is False
    assert said[-1] == "already up"

    before = everyone(stack)
    assert len(before) == 6
    assert stack.down(said.append) is True
    assert said[-4:] == ["receiver stopped", "dedup stopped", "sinks stopped", "registry stopped"]
    assert not any(process.is_running() for process in before)
    assert not everyone(stack)
    assert sorted(file.name for file in (stack.home / "run").iterdir()) == ["lock", "supervisord.conf"]
    assert all("stopped" in line for name, line in stack.logs(lines=1) if name != "supervisord")
    assert stack.down() is False
    down = stack.status()
    assert (down.up, down.ready, down.processes) == (False, False, ())

    stack.up()
    again = stack.status()
    assert (again.receiver, again.registry, again.write_key) == (status.receiver, status.registry, status.write_key)


def test_what_is_killed_runs_again(make: MakeStack) -> None:
    stack, said = make(), list[str]()
    stack.up()
    watching = threading.Thread(target=stack.watch, args=(said.append, 0.1))
    watching.start()
    before = pids(stack)
    for name in ("dedup-1", "receiver-1"):
        stack.kill(name)
    until(lambda: stack.status().ready and len(set(pids(stack)) - set(before)) == 2)
    until(lambda: sum("runs again" in line for line in said) == 2)
    stack.down()
    watching.join(30)
    assert not watching.is_alive()


def test_one_process_can_be_stopped_and_started(running: Stack) -> None:
    stack = running
    stack.stop("sinks-1")
    assert [p.pid for p in stack.status().processes if p.name == "sinks-1"] == [None]
    assert not stack.status().ready
    stack.start("sinks-1")
    until(lambda: stack.status().ready)
    with pytest.raises(StackUnavailable, match="nobody"):
        stack.kill("nobody")


def test_after_a_power_cut_the_next_up_recovers(make: MakeStack) -> None:
    stack = make()
    stack.up()
    before = everyone(stack)
    for process in before:  # all at one moment: who dies last must not see the others die
        process.suspend()
    for process in before:
        process.kill()
    psutil.wait_procs(before, timeout=30)
    assert socket_path(stack.home).exists()
    assert stack.status().up is False
    assert stack.up() is True
    assert stack.status().ready


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_its_processes_along(make: MakeStack) -> None:
    stack = make()
    stack.up()
    before = everyone(stack)
    supervisor = next(process for process in before if any("supervisor.supervisord" in word for word in process.cmdline()))
    supervisor.kill()
    until(lambda: not everyone(stack))
    assert stack.down() is False


def test_a_frozen_supervisor_does_not_hang_down(make: MakeStack) -> None:
    stack = make()
    stack.up()
    supervisor = next(process for process in everyone(stack) if any("supervisor.supervisord" in word for word in process.cmdline()))
    supervisor.suspend()
    assert stack.down() is True
    assert not everyone(stack)


def test_a_pid_file_of_another_program_is_stale(make: MakeStack) -> None:
    stack = make()
    stack.up()
    stack.down()
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (stack.home / "run" / "supervisord.pid").write_text(f"{bystander.pid}\n")
        assert stack.up() is True
        stack.down()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_stacks_side_by_side(make: MakeStack) -> None:
    one, two = make("one"), make("two " + "long " * 30)
    one.up()
    two.up()
    assert not set(pids(one)) & set(pids(two))
    one.down()
    assert two.status().ready


def test_other_settings_while_up_are_refused_by_name(running: Stack, kafka: str, valkey: str) -> None:
    with pytest.raises(StackUnavailable, match=r"up with another HOURMARK_LOCAL_RECEIVERS.*hourmark down"):
        new_stack(running.home, kafka, valkey, receivers=3).up()
    with pytest.raises(StackUnavailable, match="HOURMARK_RECEIVER_BUDGET"):
        new_stack(running.home, kafka, valkey, {"HOURMARK_RECEIVER_BUDGET": "1"}).up()
    assert new_stack(running.home, kafka, valkey).up() is False


def test_a_service_that_cannot_start_is_named_with_its_log_and_nothing_stays(make: MakeStack) -> None:
    stack = make(environ={"DUMMY_BROKEN": "streams"})
    with pytest.raises(StackUnavailable, match=r"dedup-1 does not stay up(.|\n)*settings: nonsense"):
        stack.up()
    assert not everyone(stack)


def test_a_home_whose_files_cannot_be_written_is_named(make: MakeStack) -> None:
    stack = make()
    (stack.home / "run" / "supervisord.conf").mkdir(parents=True)
    with pytest.raises(StackUnavailable, match=r"supervisord.conf cannot be written .*HOURMARK_HOME"):
        stack.up()


def test_without_waiting_all_is_started(make: MakeStack) -> None:
    stack = make()
    assert stack.up(wait=False) is True
    until(lambda: stack.status().ready)


def test_a_copy_of_a_home_is_another_stack(make: MakeStack, running: Stack) -> None:
    copy = make("copy")
    copy.home.mkdir()
    shutil.copy(running.home / "stack.json", copy.home)
    copy.up()
    assert running.status().ready
    assert copy.status().receiver != running.status().receiver


def test_a_fixed_port_that_is_taken_is_refused_before_anything_starts(make: MakeStack) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        stack = make(receiver_port=other.getsockname()[1])
        with pytest.raises(PortTaken, match="for receiver is taken by"):
            stack.up()
    assert not everyone(stack)


def test_servers_of_others_that_do_not_answer_are_named(make: MakeStack) -> None:
    stack = make(valkey=f"redis://127.0.0.1:{free_port()}/0", start_seconds=1)
    with pytest.raises(StackUnavailable, match=r"redis \(127.0.0.1:\d+\) was not ready in time"):
        stack.up()


FOREGROUND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal; a script's background job ignores it
import sys, pathlib
from local.progress import Progress, silent
from local.settings import StackSettings
from local.stack import Stack
home, kafka, valkey, dummy = sys.argv[1:]
settings = StackSettings(home=pathlib.Path(home), kafka=kafka, redis_url=valkey, dedup_workers=1, sink_workers=1)
Stack(settings, command_of=lambda room: [sys.executable, "-S", dummy, room]).run(lambda line: print(line, flush=True))
print("over", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_foreground_takes_everything_along(make: MakeStack, kafka: str, valkey: str, number: signal.Signals) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux ends children with their parent")
    stack = make()
    command = [sys.executable, "-c", FOREGROUND, str(stack.home), kafka, valkey, str(DUMMY)]
    foreground = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert foreground.stdout is not None
        lines = iter(foreground.stdout.readline, "")
        assert any(line.startswith("up; Ctrl-C") for line in lines)
        assert stack.status().ready
        foreground.send_signal(number)
        rest = list(lines)
        foreground.wait(60)
    finally:
        foreground.kill()
    until(lambda: not everyone(stack))
    if number != signal.SIGKILL:
        assert rest[-1] == "over\n"
        assert foreground.returncode == 0


def test_an_interrupted_start_leaves_nothing_and_the_next_one_works(make: MakeStack) -> None:
    stack = make()

    def interrupt(line: str) -> None:
        if line.startswith("registry"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.up(on_progress=interrupt)
    assert not everyone(stack)
    assert stack.up() is True


def test_own_servers_come_up_keep_their_data_over_a_power_cut_and_go(make: MakeStack) -> None:
    stack = make("own é home", kafka="", valkey="", kafka_heap_mb=256, hour_seconds=15)
    stack.up()
    status = stack.status()
    assert status.ready
    assert [p.name for p in status.processes][:2] == ["kafka", "valkey"]
    admin = AdminClient({"bootstrap.servers": status.kafka, "log_level": 0})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result()
    assert len(everyone(stack)) == len(status.processes) + 1  # and the supervisor
    stack.kill("kafka")
    until(lambda: stack.status().ready)
    before = everyone(stack)
    for process in before:
        process.kill()
    psutil.wait_procs(before, timeout=30)
    assert stack.up() is True
    again = stack.status()
    assert again.ready
    assert "kept" in admin.list_topics(timeout=30).topics
    assert (again.kafka, again.redis, again.hour_anchor) == (status.kafka, status.redis, status.hour_anchor)
    before = everyone(stack)
    assert stack.down() is True
    assert not any(process.is_running() for process in before)
    assert is_free(int(status.kafka.rpartition(":")[2]))
