"""The log of a process: one line per episode on stderr, JSON for machines or readable, `room` and `pid` on every one.

Libraries, warnings and what dies in a thread speak through the same lines, from WARNING up. No line holds a secret of the settings:
whatever text brings one along, it is struck out.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog
from pydantic import SecretStr

from .settings import FILE, PREFIX, PlatformSettings

STRUCK: Final = "***"
INTERNAL: Final = "internal"  # the code of what nobody expected
_SHORTEST: Final = 6  # what is shorter than that is no secret, but part of words
_TELLING: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "OPTIONS")
_PRIVATE: Final = ("password", "secret", "key", "token", "jaas")


def configure_logging(settings: PlatformSettings, room: str) -> None:
    """Call once, before anything is logged."""
    _configure(settings.log_format == "console", room, secrets_of(settings))


def configure_without_settings(room: str, environ: Mapping[str, str] = os.environ) -> bool:
    """For the one line of a process whose settings are wrong: by the environment alone. Returns whether lines are for people."""
    console = environ.get(f"{PREFIX}LOG_FORMAT") == "console"
    _configure(console, room, secrets_in(environ))
    return console


def secrets_of(settings: PlatformSettings) -> list[str]:
    """Every secret that these settings hold, passwords within URLs and clients' options too."""
    return _known(value for name in type(settings).model_fields for value in _secrets(getattr(settings, name)))


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """What may be a secret in an environment that nobody could read yet: told by the names."""
    found: list[str] = []
    for name, value in environ.items():
        if name.startswith(PREFIX) and not name.endswith(FILE):  # where a secret stands is none
            found += [value, *_words(value)] if any(word in name for word in _TELLING) else []
            found += _password(value)
    return _known(found)


def strike_out(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, STRUCK)
    return text


def _known(values: Iterable[str]) -> list[str]:
    """As they are, as JSON and as URLs write them; the longest first, since one may be part of another."""
    plain = {value for value in values if len(value) >= _SHORTEST}
    written = {form for value in plain for form in (value, json.dumps(value)[1:-1], quote(value, safe=""))}
    return sorted(written, key=len, reverse=True)


def _secrets(value: object) -> list[str]:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return [secret, *_password(secret)]
    if isinstance(value, Mapping):
        private = [str(item) for name, item in value.items() if not isinstance(item, SecretStr) and any(w in str(name) for w in _PRIVATE)]
        return private + [item.get_secret_value() for item in value.values() if isinstance(item, SecretStr)]
    return _password(value) if isinstance(value, str) else []


def _password(url: str) -> list[str]:
    try:
        found = urlsplit(url).password if "@" in url else None
    except ValueError:
        return []
    return [found] if found else []


def _words(text: str) -> list[str]:
    """The values of what was meant to be JSON, as far as it can be taken apart."""
    for mark in "{}[],:=\"'":
        text = text.replace(mark, " ")
    return [word for word in text.split() if word.lower() not in ("true", "false") and "." not in word]


def _configure(console: bool, room: str, secrets: list[str]) -> None:
    faulthandler.enable()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _say_who(room),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer(default=str)
    ending: list[Any] = [*([] if console else [structlog.processors.format_exc_info]), render, _striking(secrets)]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
            foreign_pre_chain=[_say_which, *shared],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _thread_died
    sys.unraisablehook = _unraisable


def _say_who(room: str) -> Callable[[Any, str, Any], Any]:
    who = {"room": room, "pid": os.getpid()}
    return lambda _logger, _method, line: {**line, **who}


def _say_which(_logger: Any, _method: str, line: Any) -> Any:
    """A library's line: its logger's name, and a code where it tells of an error."""
    record: logging.LogRecord = line["_record"]
    line["logger"] = record.name
    if record.levelno >= logging.ERROR:
        line["code"] = "library"
    return line


def _striking(secrets: list[str]) -> Callable[[Any, str, Any], Any]:
    return lambda _logger, _method, text: strike_out(text, secrets)


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread else ""
    structlog.get_logger().error("a thread died of an unexpected error", code=INTERNAL, thread=name, exc_info=args.exc_value)


def _unraisable(args: Any) -> None:
    structlog.get_logger().error("an error that nobody could be told", code=INTERNAL, message=args.err_msg, exc_info=args.exc_value)
