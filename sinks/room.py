"""How much room the lake's volume has left, asked at each scrape. Only a local disk has an end that can be asked for."""

from __future__ import annotations

import shutil
from functools import partial
from urllib.parse import unquote, urlsplit

from . import telemetry


def show_room(lake_url: str) -> None:
    """From now on the metrics page tells. Nothing for an object store."""
    parts = urlsplit(lake_url)
    if parts.scheme != "file":
        return
    folder = unquote(parts.path)
    telemetry.LAKE_FREE.labels(folder).set_function(partial(_ask, folder, "free"))
    telemetry.LAKE_SIZE.labels(folder).set_function(partial(_ask, folder, "total"))


def _ask(folder: str, what: str) -> float:
    try:
        return float(getattr(shutil.disk_usage(folder), what))
    except OSError:
        return float("nan")  # unknown now: neither full nor empty
