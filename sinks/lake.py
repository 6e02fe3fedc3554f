"""From a lake's URL and options to its store: the only place that knows all kinds. Never shows a secret, and reads credentials from the
environment only, under the names that each vendor gave them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError
from obstore.store import from_url

from hourmark.errors import SettingsError

from .disk import DiskStore
from .object_store import ObjectStore
from .store import Store

SETTING: Final = "HOURMARK_LAKE_URL"
_FAMILIES: Final = {"s3": "aws", "s3a": "aws", "gs": "google", "az": "azure", "azure": "azure", "abfs": "azure", "abfss": "azure"}
_ENDPOINTS: Final = {  # options in order of precedence; the environment has them in capitals with the family's name before
    "aws": ("endpoint_url_s3", "endpoint_url", "endpoint"),
    "google": ("base_url",),
    "azure": ("endpoint", "storage_endpoint"),
}
# obstore's client options, as text. Among the store's own options it panics on them.
_CLIENT: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "default_content_type",
        "http1_only",
        "http2_keep_alive_interval",
        "http2_keep_alive_timeout",
        "http2_keep_alive_while_idle",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_url",
        "proxy_ca_certificate",
        "proxy_excludes",
        "root_certificate",
        "randomize_addresses",
        "read_timeout",
        "timeout",
        "user_agent",
    }
)
_PATIENCE: Final = {"timeout": "60s", "connect_timeout": "5s"}
# Short: the worker itself holds and tries again, and meanwhile serves its other partitions.
_RETRIES: Final = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}


def open_store(url: str, options: Mapping[str, str] | None = None) -> Store:
    """The lake at this URL: `file:///abs/path` is a local disk; s3, gs and az name a bucket and a prefix. Asks nobody yet.

    `options`: obstore's own for that kind of store (endpoint, region, timeout …). Raises SettingsError.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return DiskStore(url2pathname(parts.path))
    family = _FAMILIES.get(parts.scheme)
    if family is None or not parts.netloc:
        raise SettingsError([f"{SETTING}: {masked(url)!r} is no place; write file:///absolute/path, s3://bucket/prefix, or gs or az"])
    if ("@" in parts.netloc and not parts.scheme.startswith("abfs")) or parts.query or parts.fragment:
        raise SettingsError([f"{SETTING}: {masked(url)!r}: credentials and options do not belong into it; see HOURMARK_LAKE_OPTIONS"])
    try:
        return ObjectStore(_object_store(url, family, options or {}))
    except (BaseError, ValueError, TypeError) as exc:
        raise SettingsError([f"{SETTING}: {url!r}: {str(exc).partition(chr(10))[0]}"]) from exc


def masked(url: str) -> str:
    """A URL without what may be secret in it: account, query, fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _object_store(url: str, family: str, options: Mapping[str, str]) -> Any:
    plain = {name.lower().removeprefix(f"{family}_"): value for name, value in options.items()}
    own = {name: value for name, value in plain.items() if name not in _CLIENT}
    client = _PATIENCE | {name: value for name, value in plain.items() if name in _CLIENT}
    if family == "aws" and not os.environ.get("AWS_COPY_IF_NOT_EXISTS"):
        own.setdefault("copy_if_not_exists", "multipart")
    if "allow_http" not in client and _http_allowed(family, own):
        client["allow_http"] = "true"
    options_of: Any = {"config": own, "client_options": client, "retry_config": _RETRIES}  # typed per vendor, known only at run time
    return from_url(url, **options_of)


def _http_allowed(family: str, own: Mapping[str, str]) -> bool:
    """Without TLS only as the environment says, or to this machine itself."""
    if os.environ.get(f"{family.upper()}_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on"):
        return True
    names = _ENDPOINTS[family]
    found = [own[name] for name in names if name in own] or [v for name in names if (v := os.environ.get(f"{family}_{name}".upper()))]
    return bool(found) and urlsplit(found[0]).hostname in ("localhost", "127.0.0.1", "::1")
