"""`python -m sinks.bucket`: makes the bucket of HOURMARK_LAKE_URL if there is none. For an S3 store of one's own, once, at its first start.

Promises: waits for a store that is just starting. Refuses lakes that are in no bucket. A cloud's buckets are made by its own tools.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from pyarrow.fs import FileType, S3FileSystem

from hourmark.errors import LakeUnavailable, SettingsError
from hourmark.runtime import run
from hourmark.settings import load

from .settings import Settings

WAIT_S: Final = 120.0
log = structlog.get_logger()


def make(settings: Settings, wait_s: float = WAIT_S) -> bool:
    """True when it was made, False when it was there. Raises SettingsError for another kind of lake, LakeUnavailable after `wait_s`."""
    parts = urlsplit(settings.lake_url)
    if parts.scheme not in ("s3", "s3a") or not parts.netloc:
        raise SettingsError([f"HOURMARK_LAKE_URL is {settings.lake_url}, which names no bucket of an S3 store"])
    store, deadline, told = _store(settings.plain_lake_options), time.monotonic() + wait_s, False
    while True:
        try:
            if store.get_file_info(parts.netloc).type is FileType.Directory:
                return False
            store.create_dir(parts.netloc)
            return True
        except OSError as exc:
            if time.monotonic() > deadline:
                raise LakeUnavailable(f"the bucket {parts.netloc} could not be made in {wait_s:.0f} s: {exc}") from exc
            if not told:
                log.warning("waiting for the lake's store", error=str(exc)[:300])
                told = True
            time.sleep(1.0)


def _store(options: Mapping[str, str]) -> S3FileSystem:
    def told(name: str) -> str | None:
        return options.get(name) or options.get(f"aws_{name}")

    endpoint = urlsplit(told("endpoint") or told("endpoint_url") or "")
    return S3FileSystem(
        access_key=told("access_key_id"),
        secret_key=told("secret_access_key"),
        region=told("region"),
        endpoint_override=endpoint.netloc or None,
        scheme="http" if endpoint.scheme == "http" else "https",
        allow_bucket_creation=True,
        connect_timeout=5,
        request_timeout=10,
    )


def main(settings: Settings) -> None:
    log.info("bucket made" if make(settings) else "the bucket is there", lake=settings.lake_url)


if __name__ == "__main__":
    run("bucket", lambda: load(Settings), main)
