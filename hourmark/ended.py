"""How often processes of this name ended by a fault of ours, by code. A counter dies with its process, so the sum stands in a small file.

The file lies in HOURMARK_HOME and may be lost; then counting begins anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from .errors import InvariantBroken
from .metrics import Counter
from .settings import PlatformSettings

UNEXPECTED: Final = "unexpected_error"
ENDED = Counter(
    "hourmark_process_ended_total", "Times that processes of this name ended since going on could have lost or doubled an event", ["code"]
)


def show(settings: PlatformSettings, room: str) -> None:
    """Put what is remembered on the metrics page, and 0 for every other code: a rise from nothing would not be seen."""
    known = dict.fromkeys(_codes(InvariantBroken), 0) | {UNEXPECTED: 0} | _read(_path(settings, room))
    for code, times in known.items():
        ENDED.labels(code).inc(times)


def note(settings: PlatformSettings, room: str, code: str) -> None:
    """Remember one more end. Never raises: the process ends anyway."""
    path = _path(settings, room)
    known = _read(path)
    known[code] = known.get(code, 0) + 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        aside.write_text(json.dumps(known))
        aside.replace(path)
    except OSError:
        pass  # the log has it


def _path(settings: PlatformSettings, room: str) -> Path:
    return Path(settings.home) / "ended" / f"{settings.node or room}.json"


def _read(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_bytes())
        return {str(code): int(times) for code, times in found.items() if int(times) > 0}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _codes(kind: type[InvariantBroken]) -> set[str]:
    return {kind.code}.union(*map(_codes, kind.__subclasses__()))
