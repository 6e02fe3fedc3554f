"""Many questions at once, none of which may hold up the rest: each has its time, and what does not answer is left behind."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from hourmark.errors import PlatformError, SettingsError, Unavailable

PAGE_S: Final = 4.0
PAGE_MOST: Final = 4000


class Page(NamedTuple):
    """What a page answered: `status` None when nobody answers, `body` its JSON or text, or why there is none."""

    status: int | None
    body: Any


def page(url: str, seconds: float = PAGE_S) -> Page:
    """GET, never raises for what the other side does."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return Page(answer.status, _read(answer))
    except urllib.error.HTTPError as exc:
        with exc:
            return Page(exc.code, _read(exc))
    except (OSError, ValueError) as exc:
        return Page(None, str(getattr(exc, "reason", exc)))


def _read(answer: Any) -> Any:
    try:
        text = answer.read(PAGE_MOST).decode("utf-8", "replace")
    except OSError as exc:
        return str(exc)
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def together(asks: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """Each one's answer, or the PlatformError that it raised; Unavailable for those that take longer. Other exceptions are raised."""
    answers: dict[str, Any] = {}
    broken: list[BaseException] = []

    def run(name: str, ask: Callable[[], Any]) -> None:
        try:
            answers[name] = ask()
        except (PlatformError, SettingsError) as exc:
            answers[name] = exc
        except BaseException as exc:
            broken.append(exc)

    threads = {name: threading.Thread(target=run, args=(name, ask), daemon=True) for name, ask in asks.items()}
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    if broken:
        raise broken[0]
    return {name: answers.get(name, Unavailable(f"no answer within {seconds:.0f} s")) for name in asks}
