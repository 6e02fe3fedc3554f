"""Where the platform is: from the environment (a fleet), else from the stack's own file in HOURMARK_HOME (a laptop)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hourmark.hours import Hours, parse_label
from hourmark.settings import PlatformSettings

from .failures import Unreachable, WrongInput


def home() -> Path:
    """The state folder: HOURMARK_HOME, else `.hourmark` here."""
    return Path(os.environ.get("HOURMARK_HOME") or ".hourmark").absolute()


@dataclass(frozen=True)
class Addresses:
    """Every address may be empty: a command asks with `need` for those it cannot do without."""

    receiver: str = ""
    registry: str = ""
    kafka: str = ""
    redis: str = ""
    lake: str = ""
    write_key: str = ""
    admin_token: str = field(default="", repr=False)
    hour_seconds: int = 3600
    hour_anchor: str = ""
    origin: str = ""

    @property
    def hours(self) -> Hours:
        return Hours(self.hour_seconds, parse_label(self.hour_anchor) if self.hour_anchor else 0)

    @property
    def lake_path(self) -> Path:
        """The lake as a local folder. Raises WrongInput for a lake elsewhere."""
        parts = urlsplit(self.lake)
        if parts.scheme not in ("", "file"):
            raise WrongInput("this command reads a lake on the local disk only", where=self.lake)
        return Path(unquote(parts.path)).absolute()

    def settings(self) -> PlatformSettings:
        """As the shelf's Kafka edge wants them."""
        options: Any = _options("HOURMARK_KAFKA_OPTIONS")
        return PlatformSettings(
            kafka=self.kafka,
            kafka_options=options,
            registry_url=self.registry,
            hour_seconds=self.hour_seconds,
            hour_anchor=self.hour_anchor,
            profile="local",
            home=home(),
        )


_ENVIRONMENT: Mapping[str, str] = {
    "receiver": "HOURMARK_CLIENT_RECEIVER_URL",
    "registry": "HOURMARK_REGISTRY_URL",
    "kafka": "HOURMARK_KAFKA",
    "redis": "HOURMARK_REDIS_URL",
    "lake": "HOURMARK_LAKE_URL",
    "write_key": "HOURMARK_CLIENT_WRITE_KEY",
    "hour_anchor": "HOURMARK_HOUR_ANCHOR",
}


def find(*need: str) -> Addresses:
    """The platform's addresses. Raises Unreachable naming what is missing and how to give it."""
    from_stack = stack_file()
    from_environment: dict[str, Any] = {name: value for name, variable in _ENVIRONMENT.items() if (value := told(variable))}
    if os.environ.get("HOURMARK_HOUR_SECONDS"):
        from_environment["hour_seconds"] = _whole(os.environ["HOURMARK_HOUR_SECONDS"])
    if "hour_anchor" in from_environment:
        from_environment["hour_anchor"] = _anchor(from_environment["hour_anchor"])
    merged = {**from_stack, **from_environment}
    known = {name: value for name, value in merged.items() if name in Addresses.__dataclass_fields__ and value not in (None, "")}
    found = Addresses(**{**known, "origin": "environment" if from_environment else str(home() / "stack.json")})
    missing = [name for name in need if not getattr(found, name)]
    if missing:
        variables = ", ".join(_ENVIRONMENT[name] for name in missing)
        raise Unreachable(
            "no stack is running here" if not from_stack else f"the stack does not say where its {' and '.join(missing)} is",
            where=str(home()),
            remedy=f"start one with `hourmark up --detach`, or set {variables}",
        )
    return found


def configured() -> bool:
    """The environment says where a platform is, so that it need not be the native stack's."""
    return any(told(_ENVIRONMENT[name]) for name in ("registry", "kafka", "receiver"))


def told(variable: str) -> str:
    """A variable of the environment, or what stands in the file that `<VARIABLE>_FILE` names. Raises WrongInput when it cannot be read."""
    path = os.environ.get(f"{variable}_FILE", "")
    if os.environ.get(variable) or not path:
        return os.environ.get(variable, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as exc:
        raise WrongInput(f"{variable}_FILE cannot be read: {getattr(exc, 'strerror', None) or exc}", where=path) from exc


def lake_options() -> dict[str, str]:
    """What HOURMARK_LAKE_OPTIONS says: options of the object store's client."""
    return {name: str(value) for name, value in _options("HOURMARK_LAKE_OPTIONS").items()}


def _options(variable: str) -> dict[str, Any]:
    try:
        found = json.loads(told(variable) or "{}")
    except ValueError as exc:
        raise WrongInput(f"{variable} is no JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise WrongInput(f"{variable} must be a JSON object")
    return found


def _whole(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise WrongInput(f"HOURMARK_HOUR_SECONDS must be a whole number of seconds, at least 1, not {text!r}")
    return int(text)


def _anchor(text: str) -> str:
    try:
        parse_label(text)
    except ValueError as exc:
        raise WrongInput(f"HOURMARK_HOUR_ANCHOR: {exc}") from exc
    return text


def stack_file() -> dict[str, Any]:
    """What the native stack wrote about itself; empty when there is none or it is unreadable."""
    try:
        found = json.loads((home() / "stack.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
