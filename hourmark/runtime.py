"""How a process lives: its name, its log, its signals, its ordered stop, and the hard exit when a stop hangs."""

from __future__ import annotations

import asyncio
import faulthandler
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
from .metrics import BUILD
from .settings import PlatformSettings

GRACE_S = 15.0
EXIT_SETTINGS = 2
EXIT_UNREACHABLE = 3
EXIT_BROKEN = 70  # EX_SOFTWARE of sysexits.h


def node_name(settings: PlatformSettings, room: str) -> str:
    """Name of this process on hourmark.nodes and in manifests: as set, or room-host-pid."""
    return settings.node or f"{room}-{socket.gethostname()}-{os.getpid()}"


def configure_logging(settings: PlatformSettings, room: str) -> None:
    """One line per episode: JSON for machines or a readable line; `room` and pid on every one. Libraries speak from WARNING up."""
    faulthandler.enable()
    shared: list[Any] = [
        _say_who(room),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    console = settings.log_format == "console"
    render: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    errors: list[Any] = [] if console else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *errors, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, render], foreign_pre_chain=shared
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _say_who(room: str) -> Callable[[Any, str, Any], Any]:
    who = {"room": room, "pid": os.getpid()}
    return lambda _logger, _method, line: {**line, **who}


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
        print(f"{room} cannot start; {exc}", file=sys.stderr)
        sys.exit(EXIT_SETTINGS)
    configure_logging(settings, room)
    BUILD.labels(room, __version__).set(1)
    ended.show(settings, room)
    log = structlog.get_logger()
    try:
        outcome = main(settings)
        if outcome is not None:
            asyncio.run(_finish(outcome))
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0
    except SettingsError as exc:  # what only the world could tell: a lake that cannot be trusted, an address that is none
        code = EXIT_SETTINGS
        log.error("cannot start", code="settings", message="; ".join(exc.faults))
    except PlatformError as exc:
        code = EXIT_BROKEN if isinstance(exc, InvariantBroken) else EXIT_UNREACHABLE
        if code == EXIT_BROKEN:
            ended.note(settings, room, exc.code)
        log.error("stopped", code=exc.code, message=exc.message, **exc.facts)
    except Exception:
        code = EXIT_BROKEN
        ended.note(settings, room, ended.UNEXPECTED)
        log.exception("stopped by an unexpected error")
    logging.shutdown()
    sys.stderr.flush()
    hard_exit_after(5.0, code)  # non-daemon threads of libraries must not keep a stopped process alive
    sys.exit(code)


async def _finish(outcome: Awaitable[None]) -> None:
    await outcome
