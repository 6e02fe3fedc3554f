"""Settings come from the environment, once, at start. This module owns the common names and the rule that all faults come at once.

A room's Settings derives from `PlatformSettings` and sets `env_prefix="HOURMARK_<ROOM>_"`; `load` reads, checks, and refuses unknown names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, get_origin

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SettingsError
from .hours import Hours, parse_label

PREFIX = "HOURMARK_"
FILE = "_FILE"
SHARED = ("REDIS_URL", "LAKE_URL", "LAKE_OPTIONS", "AUTHOR", "CANARY_URL", "CANARY_KEY", "CANARY_SECONDS")  # names of several rooms
ROOMS = ("RECEIVER", "DEDUP", "STREAMS", "SINKS", "REGISTRY", "LOCAL", "CLIENT", "TEST", "DEMO", "BENCH")


def common(name: str, default: Any = ..., **extra: Any) -> Any:
    """A field that every room reads from `HOURMARK_<NAME>`, whatever the room's own prefix is."""
    # the field's own name is no alias: the environment's HOME would be read as `home`
    return Field(default, validation_alias=AliasChoices(PREFIX + name.upper()), **extra)


class PlatformSettings(BaseSettings):
    """What every service needs to know. Frozen; pass it on, never read the environment again."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, populate_by_name=True, extra="ignore", env_ignore_empty=True)

    kafka: str = common("kafka", "127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]")
    kafka_options: dict[str, str | int | float | bool] = common(
        "kafka_options", {}, description="JSON mapping passed to every Kafka client (TLS, SASL), in librdkafka's names: docs/security.md"
    )
    registry_url: str = common("registry_url", "http://127.0.0.1:8081", description="Base URL of the registry")
    hour_seconds: int = common("hour_seconds", 3600, ge=1, le=3600, description="Real seconds per platform hour; below 3600 is time-lapse")
    hour_anchor: str = common("hour_anchor", "", description="UTC hour like 2026-03-01T07 at which time-lapse labels start")
    profile: Literal["local", "production"] = common("profile", "production", description="`production` refuses time-lapse")
    home: Path = common("home", Path(".hourmark"), description="Folder for state that may be lost (snapshots, sockets, logs)")
    metrics_listen: str = common("metrics_listen", "", description="host:port for /metrics, /healthz and /readyz; empty: none")
    log_format: Literal["console", "json"] = common("log_format", "json", description="Log lines for people or for machines")
    node: str = common("node", "", description="Name of this process on hourmark.nodes; empty: room, host and pid")

    @model_validator(mode="after")
    def _time_lapse(self) -> PlatformSettings:
        if self.hour_seconds != 3600 and self.profile == "production":
            raise ValueError("HOURMARK_HOUR_SECONDS other than 3600 is time-lapse, which the profile `production` refuses")
        if self.hour_anchor:
            parse_label(self.hour_anchor)
        elif self.hour_seconds != 3600:
            raise ValueError("time-lapse (HOURMARK_HOUR_SECONDS) needs HOURMARK_HOUR_ANCHOR, an UTC hour like 2026-03-01T07")
        return self

    @property
    def hours(self) -> Hours:
        return Hours(self.hour_seconds, parse_label(self.hour_anchor) if self.hour_anchor else 0)


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read a room's settings from the environment. Raises SettingsError with every fault: wrong values, missing and unknown names.

    `<NAME>_FILE` names a file that holds the value of `<NAME>`: how containers are given secrets.
    """
    environ = os.environ if environ is None else environ
    faults = [f"{name} is no setting{_nearest(name, kind)}" for name in unknown_names(kind, environ)]
    values, unreadable = from_files(kind, environ)
    garbled = _garbled(kind, environ)
    faults += unreadable + list(garbled.values())
    try:
        with _hidden(garbled):  # the library would say nothing else any more
            settings = kind(**values)
    except ValidationError as exc:
        faults += [_say(error, kind) for error in exc.errors()]
    else:
        if not faults:
            return settings
    raise SettingsError(faults)


def environment_names(kind: type[BaseSettings]) -> dict[str, str]:
    """Environment name → field name, for every field of a Settings class."""
    prefix = kind.model_config.get("env_prefix", "")
    names = {}
    for field, info in kind.model_fields.items():
        alias = info.validation_alias
        names[str(alias.choices[0]) if isinstance(alias, AliasChoices) else (prefix + field).upper()] = field
    return names


def unknown_names(kind: type[BaseSettings], environ: Mapping[str, str]) -> list[str]:
    """Names with our prefix that this room should know and does not: a typo must not pass silently. Other rooms' names are theirs."""
    known = environment_names(kind)
    mine = str(kind.model_config.get("env_prefix", "")).upper()
    others = tuple(f"{PREFIX}{room}_" for room in ROOMS if f"{PREFIX}{room}_" != mine)
    shared = environment_names(PlatformSettings).keys() | {f"{PREFIX}{name}" for name in SHARED}
    return sorted(
        n
        for n in environ
        if n.startswith(PREFIX) and n.removesuffix(FILE) not in known and n.removesuffix(FILE) not in shared and not n.startswith(others)
    )


def _garbled(kind: type[BaseSettings], environ: Mapping[str, str]) -> dict[str, str]:
    """Name → fault, of what must be JSON and is none. What it holds is not repeated: it may be a secret."""
    faults = {}
    for name, field in environment_names(kind).items():
        if environ.get(name) and get_origin(kind.model_fields[field].annotation) in (dict, tuple, list):
            try:
                json.loads(environ[name])
            except ValueError as exc:
                faults[name] = f"{name} is no JSON: {exc}"
    return faults


@contextmanager
def _hidden(names: Iterable[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def from_files(kind: type[BaseSettings], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Field → value of every setting that stands in a file, and what is wrong with these."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, field in environment_names(kind).items():
        path = environ.get(name + FILE)
        if not path:
            continue
        if environ.get(name):
            faults.append(f"{name} and {name}{FILE} are both set; keep one")
            continue
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as exc:
            faults.append(f"{name}{FILE}: {path} cannot be read: {getattr(exc, 'strerror', None) or exc}")
            continue
        try:
            values[field] = json.loads(text) if get_origin(kind.model_fields[field].annotation) is dict else text
        except ValueError as exc:
            faults.append(f"{name}{FILE}: {path} holds no JSON: {exc}")
    return values, faults


def _nearest(name: str, kind: type[BaseSettings]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, environment_names(kind), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _say(error: Any, kind: type[BaseSettings]) -> str:
    where = str(error["loc"][0]) if error["loc"] else ""
    by_field = {field: name for name, field in environment_names(kind).items()}
    name = by_field.get(where, where)
    return f"{name}: {error['msg']}" if name else str(error["msg"]).removeprefix("Value error, ")
