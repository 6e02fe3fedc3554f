"""How a process lives: its name, its signals, its ordered stop, and the hard exit when a stop hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, NoReturn

import structlog

from . import __version__, ended
from .crashpoints import refuse_in
from .errors import InvariantBroken, PlatformError, SettingsError
from .kafka import check_options
from .logs import INTERNAL, configure_logging, configure_without_settings
from .metrics import BUILD
from .settings import PlatformSettings

GRACE_S = 15.0
EXIT_SETTINGS = 2
EXIT_UNREACHABLE = 3
EXIT_BROKEN = 70  # EX_SOFTWARE of sysexits.h


def node_name(settings: PlatformSettings, room: str) -> str:
    """Name of this process on hourmark.nodes and in manifests: as set, or room-host-pid."""
    return settings.node or f"{room}-{socket.gethostname()}-{os.getpid()}"


def hard_exit_after(seconds: float, code: int = EXIT_BROKEN) -> threading.Timer:
    """End the process in `seconds` whatever hangs (a library's shutdown may). Cancel the returned timer when all is done."""
    timer = threading.Timer(seconds, os._exit, args=(code,))
    timer.daemon = True
    timer.start()
    return timer


class StopSignal:
    """SIGTERM and SIGINT as one flag for threads. The first asks for an ordered stop and arms the hard exit; the second ends at once."""

    def __init__(self, grace: float = GRACE_S) -> None:
        self._event = threading.Event()
        self._grace = grace

    def install(self) -> StopSignal:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)
        return self

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if self._event.is_set():
            os._exit(128 + number)
        hard_exit_after(self._grace)
        self._event.set()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        return self._event.wait(timeout)


async def until_signal(grace: float = GRACE_S) -> None:
    """Return at the first SIGTERM or SIGINT, with the hard exit armed; a second signal ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def received(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        hard_exit_after(grace)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    await stop.wait()


def run(room: str, load: Callable[[], PlatformSettings], main: Callable[[Any], Awaitable[None] | None]) -> NoReturn:
    """The whole of a `__main__`: load settings, log, run, and turn what comes out into an exit code and one clear line."""
    code = 0
    try:
        settings = load()
        refuse_in(settings.profile)
    except SettingsError as exc:
        _say_faults(room, exc)
        sys.exit(EXIT_SETTINGS)
    configure_logging(settings, room)
    BUILD.labels(room, __version__).set(1)
    ended.show(settings, room)
    log = structlog.get_logger()
    try:
        check_options(settings)
        outcome = main(settings)
        if outcome is not None:
            asyncio.run(_finish(outcome))
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0
    except SettingsError as exc:  # what only the world could tell: a lake that cannot be trusted, an address that is none
        code = EXIT_SETTINGS
        log.error("cannot start", code="settings", faults=exc.faults)
    except PlatformError as exc:
        code = EXIT_BROKEN if isinstance(exc, InvariantBroken) else EXIT_UNREACHABLE
        if code == EXIT_BROKEN:
            ended.note(settings, room, exc.code)
        log.error("stopped", code=exc.code, message=exc.message, **exc.facts)
    except Exception:
        code = EXIT_BROKEN
        ended.note(settings, room, ended.UNEXPECTED)
        log.exception("stopped by an unexpected error", code=INTERNAL)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. Taking the interpreter down as well would wait for threads of libraries, and librdkafka's may crash it meanwhile.
    os._exit(code)


def _say_faults(room: str, exc: SettingsError) -> None:
    """All faults at once: a line for machines, or one fault a line for people."""
    if configure_without_settings(room):
        print(f"{room} cannot start; {exc}", file=sys.stderr)
    else:
        structlog.get_logger().error("cannot start", code="settings", faults=exc.faults)


async def _finish(outcome: Awaitable[None]) -> None:
    await outcome
