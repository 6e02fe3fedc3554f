"""The canary: an event that the platform sends to itself through its front door, so that a broken pipe and an empty hour look different.

Owns what the registry, which declares its type, and the receivers, which send it, must agree on; and the one switch of it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from .settings import PlatformSettings, common

CANARY: Final = "hourmark.canary"
SDK: Final = "hourmark-canary"
WRITE_KEY: Final = "canary"  # its name; the key itself is a setting


class CanarySettings(PlatformSettings):
    """For rooms that know the canary. It is off without `canary_url`."""

    canary_url: str = common(
        "canary_url", "", description="Front door of the platform, to which every receiver sends canary events; empty: none are sent"
    )
    canary_key: SecretStr = common("canary_key", SecretStr(""), description="Write key of the canary events, and of nothing else")
    canary_seconds: float = common("canary_seconds", 5.0, gt=0, le=3600, description="Seconds between canary events of one receiver")

    @field_validator("canary_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        found = urlsplit(url)
        if url and (found.scheme not in ("http", "https") or not found.hostname or found.username or found.query or found.fragment):
            raise ValueError("write the front door as http://host:port or https://host, without user, password and query")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _with_key(self) -> CanarySettings:
        if self.canary_url and not self.canary_key.get_secret_value():
            raise ValueError("HOURMARK_CANARY_URL is set, so HOURMARK_CANARY_KEY (or HOURMARK_CANARY_KEY_FILE) must be: any random text")
        return self
