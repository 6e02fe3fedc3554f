"""The process supervisor (supervisord): its configuration, its start, and its calls. It restarts what ends and keeps the logs.

Every call has a time-out; a supervisor that does not answer is `None` from `connect`, never a hang.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import resource
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local.errors import StackUnavailable
from local.programs import STAGES, Program
from local.server import bound_to_parent, spawn

# the supervisor binds PATH.PID first, and the system allows 104 characters (macOS) or 108
LONGEST_SOCKET = 104 - len(".4194304")

MAIN = """\
[supervisord]
nodaemon=true
silent=true
identifier={stack}
pidfile={run}/supervisord.pid
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
childlogdir={logs}
minfds={files}
strip_ansi=true

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# More retries than anyone waits for: each waits one second longer than the one before.
PROGRAM = """
[program:{name}]
command={command}
environment={environment}
directory={directory}
priority={priority}
autostart=false
autorestart=true
startsecs=2
startretries=1000000
stopsignal=TERM
stopwaitsecs={grace}
killasgroup=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
redirect_stderr=true
"""

GRACE_S = 16  # one more than the services' own hard exit
_NOT_RUNNING, _ALREADY_STARTED = 70, 60  # its fault codes


class Process(NamedTuple):
    """What the supervisor knows of one program. `pid` 0: none now. `state` in lower case."""

    name: str
    pid: int
    state: str
    since: int


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path, self._timeout)


class Supervisor:
    """A running supervisord. Methods raise StackUnavailable when it stops answering."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._rpc = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(str(path), timeout))

    def identity(self) -> tuple[str, int]:
        """Id of its stack, and its pid."""
        return str(self._call("getIdentification")), int(self._call("getPID"))

    def processes(self) -> list[Process]:
        found = self._call("getAllProcessInfo")
        return [Process(p["name"], p["pid"], p["statename"].lower(), p["start"]) for p in found]

    def start(self, name: str) -> None:
        """Asks for a start, does not wait for it. Nothing happens when it runs."""
        self._call("startProcess", name, False, fine=(_ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Asks for a stop, does not wait for it."""
        self._call("stopProcess", name, False, fine=(_NOT_RUNNING,))

    def signal(self, name: str, number: int) -> None:
        self._call("signalProcess", name, str(number), fine=(_NOT_RUNNING,))

    def shutdown(self) -> None:
        with contextlib.suppress(StackUnavailable):  # it may end before it answers
            self._call("shutdown")

    def _call(self, method: str, *arguments: object, fine: Sequence[int] = ()) -> Any:
        try:
            return getattr(self._rpc.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as exc:
            if exc.faultCode in fine:
                return None
            raise StackUnavailable(f"the process supervisor refuses {method} {' '.join(map(str, arguments))}: {exc.faultString}") from exc
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as exc:
            raise StackUnavailable(f"the process supervisor does not answer ({exc or type(exc).__name__})") from exc


def socket_path(home: Path) -> Path:
    """Where the supervisor of this home listens: in the home, or in a private short folder when the home's path is too long."""
    usual = home / "run" / "supervisor.sock"
    if len(os.fsencode(usual)) <= LONGEST_SOCKET:
        return usual
    short = Path(tempfile.gettempdir()) / f"hourmark-{os.getuid()}"
    if len(os.fsencode(short)) > LONGEST_SOCKET - 22:
        short = Path(f"/tmp/hourmark-{os.getuid()}")
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StackUnavailable(f"{short} is not a private folder of this user; remove it, or set HOURMARK_HOME to a shorter path")
    return short / f"{hashlib.blake2b(os.fsencode(home), digest_size=8).hexdigest()}.sock"


def forget_socket(home: Path) -> None:
    """Removes the socket of a supervisor that is gone. The short folder stays: another stack may be about to listen there."""
    socket_path(home).unlink(missing_ok=True)


def connect(home: Path, stack: str) -> Supervisor | None:
    """The running supervisor of this stack, None when there is none or it does not answer."""
    path = socket_path(home)
    if not path.exists():
        return None
    supervisor = Supervisor(path)
    try:
        return supervisor if supervisor.identity()[0] == stack else None
    except StackUnavailable:
        return None


def configuration(home: Path, stack: str, programs: Sequence[Program]) -> str:
    """The text of supervisord's configuration."""
    run, logs = home / "run", home / "logs"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    text = MAIN.format(stack=stack, run=run, logs=logs, socket=socket_path(home), files=files)
    for program in programs:
        text += PROGRAM.format(
            name=program.name,
            command=shlex.join(bound_to_parent(program.command)),
            environment=",".join(f'{name}="{value}"' for name, value in program.environment.items()),
            directory=run,
            priority=10 + STAGES.index(program.stage),
            grace=GRACE_S,
            logs=logs,
        )
    return text.replace("%", "%%")


def launch(home: Path, stack: str, environment: Mapping[str, str], *, bound: bool) -> Supervisor:
    """Starts supervisord on the configuration in `home` and returns when it answers. `bound`: it ends with this process."""
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-n", "-c", str(home / "run" / "supervisord.conf")]
    said = home / "logs" / "supervisord.out"
    with said.open("wb") as out:
        child = spawn(
            bound_to_parent(command) if bound else command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(environment),
            cwd=home / "run",
            start_new_session=True,
        )
    deadline = time.monotonic() + 30
    while (supervisor := connect(home, stack)) is None:
        if child.poll() is not None:
            raise StackUnavailable(f"the process supervisor ended while starting:\n{said.read_text(errors='replace').strip()}")
        if time.monotonic() > deadline:
            child.kill()
            child.wait()
            raise StackUnavailable(f"the process supervisor did not answer in 30 s; see {said}")
        time.sleep(0.05)
    return supervisor
