"""What the stack remembers in its home: `stack.json` (addresses, ports, time-lapse, write key, what it was told).

Promises atomic writes that survive a power cut; refuses a home of another layout instead of guessing.
"""

from __future__ import annotations

import json
import os
import secrets
import uuid
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from local.errors import StackUnavailable

LAYOUT = 1


@dataclass
class Remembered:
    """One home's memory. The first block is where clients find the stack; `ports` holds every port by purpose."""

    receiver: str = ""
    registry: str = ""
    kafka: str = ""
    redis: str = ""
    lake: str = ""
    hour_seconds: int = 3600
    hour_anchor: str = ""
    write_key: str = field(default_factory=lambda: "local-" + secrets.token_urlsafe(24))
    canary_key: str = field(default_factory=lambda: "canary-" + secrets.token_urlsafe(24))
    stack: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    own_kafka: bool = True
    own_redis: bool = True
    ports: dict[str, int] = field(default_factory=dict)
    dedup_shards: int = 1  # to which the groups of the dedup workers were brought last
    told: dict[str, str] = field(default_factory=dict)


def read(home: Path) -> Remembered | None:
    """The memory of a home, None when no stack was ever up there. Raises StackUnavailable when it cannot be understood."""
    file = home / "stack.json"
    remedy = f"move {home} away (or remove it, with the events in it), or set HOURMARK_HOME to another folder"
    try:
        found: Any = json.loads(file.read_text())
        layout = found.pop("layout", 0)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StackUnavailable(f"{file} cannot be read: {exc.strerror}") from exc
    except (ValueError, AttributeError, TypeError) as exc:
        raise StackUnavailable(f"{file} is damaged; {remedy}") from exc
    if layout != LAYOUT:
        age = "an older" if isinstance(layout, int) and layout < LAYOUT else "a newer"
        raise StackUnavailable(f"{home} was made by {age} version of hourmark (layout {layout}, this one is {LAYOUT}); {remedy}")
    try:
        return Remembered(**{f.name: found[f.name] for f in fields(Remembered) if f.name in found})
    except TypeError as exc:
        raise StackUnavailable(f"{file} is damaged; {remedy}") from exc


def write(home: Path, memory: Remembered) -> None:
    """Replaces stack.json in one step. For its owner only: the write key is a secret."""
    replace_file(home / "stack.json", json.dumps({"layout": LAYOUT, **asdict(memory)}, indent=2) + "\n", 0o600)


def replace_file(file: Path, text: str, mode: int = 0o644) -> None:
    """The whole new text or the whole old one, whatever happens in between."""
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(file)
