"""Settings of the deduplication: HOURMARK_DEDUP_*. Read by whatever runs a deduplicator, beside its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from hourmark.settings import PREFIX, PlatformSettings, common

_LOCAL_SECRET = "hourmark-local"


def _own(name: str, default: Any, **extra: Any) -> Any:
    # Named in full: a room that derives its settings from these has a prefix of its own.
    return Field(default, validation_alias=AliasChoices(f"{PREFIX}DEDUP_{name.upper()}", name), **extra)


class DedupSettings(PlatformSettings):
    """`window_days` and `secret` belong to the index for its whole life: both stand in its canary, and another value is refused."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_DEDUP_")

    redis_url: str = common("redis_url", "redis://127.0.0.1:6379/0", description="Redis >= 7 or Valkey that holds the id index")
    backend: Literal["plain", "compact", "memory"] = _own(
        "backend",
        "plain",
        description="`plain`: one Redis key per id; `compact`: days of buckets, a ninth of the memory, also on a cluster; `memory`: tests "
        "only, forgets at exit",
    )
    window_days: int = _own("window_days", 14, ge=1, le=365, description="Copies that arrive within so many days are removed")
    secret: SecretStr = _own(
        "secret", SecretStr(""), description="Key of the id hashes, the same for all workers, for ever; profile local has a default"
    )
    redis_timeout: float = _own("redis_timeout", 3.0, gt=0, description="Seconds to wait for an answer of the index before trying again")

    reassert_seconds: float = _own(
        "reassert_seconds", 30.0, ge=0, le=300, description="Claims of so many s are made again when the index failed over; 0: none"
    )
    wait_replicas: int = _own("wait_replicas", 0, ge=0, le=8, description="Replicas that a claim must reach to count; not on a cluster")
    volatile: bool = _own("volatile", False, description="Profile production: accept a Redis that keeps nothing on disk")
    index_shards: int = _own(
        "index_shards", 8, ge=1, le=1024, description="`compact`: parts that spread over a cluster's nodes, for ever"
    )
    ids_a_day: int = _own(
        "ids_a_day", 1_000_000, ge=1, description="`compact`: ids a day to begin with; its buckets then follow what really comes"
    )
    memory_share: float = _own(
        "memory_share", 0.9, gt=0, le=1, description="`compact`: share of maxmemory above which the window is shortened, day by day"
    )
    least_window_days: int = _own(
        "least_window_days", 1, ge=1, description="`compact`: days that stay in the window whatever the memory; then claims wait"
    )

    @model_validator(mode="after")
    def _production(self) -> DedupSettings:
        if self.profile == "production" and not self.secret.get_secret_value():
            raise ValueError("HOURMARK_DEDUP_SECRET must be set (any long random text; never change it afterwards)")
        if self.profile == "production" and self.backend == "memory":
            raise ValueError("HOURMARK_DEDUP_BACKEND=memory forgets all ids at exit, which the profile `production` refuses")
        return self

    @property
    def hash_key(self) -> bytes:
        """The secret as BLAKE2b takes it: at most 64 bytes, never empty."""
        return blake2b((self.secret.get_secret_value() or _LOCAL_SECRET).encode()).digest()

    @property
    def durable(self) -> bool:
        """The server must keep its data over a restart."""
        return self.profile == "production" and not self.volatile

    @property
    def claim_seconds(self) -> int:
        """How long a claim lives: the window and one day, since the window counts UTC days of append times, in real seconds."""
        return self.hours.days_s(self.window_days + 1)
