"""From a lake's URL to its store: the only place that knows both kinds."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError
from obstore.store import from_url

from hourmark.errors import SettingsError

from .disk import DiskStore
from .store import ObjectStore, Store


def open_store(url: str) -> Store:
    """The lake at this URL: `file:///abs/path` is a local disk, anything else is for obstore. Raises SettingsError."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return DiskStore(url2pathname(parts.path))
    if parts.scheme in ("", "file"):
        raise SettingsError([f"HOURMARK_LAKE_URL: {url!r} is no place; write file:///absolute/path"])
    try:
        return ObjectStore(from_url(url))
    except (BaseError, ValueError) as exc:
        raise SettingsError([f"HOURMARK_LAKE_URL: {url!r}: {exc}"]) from exc
