"""Settings of a dedup worker: HOURMARK_STREAMS_*, and those of the deduplication it runs."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from dedup.settings import DedupSettings
from hourmark.errors import SettingsError
from hourmark.settings import load, unknown_names

from .shards import group_of


class Settings(DedupSettings):
    """Workers with the same `app_id` and `shard` share the partitions of one shard."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_STREAMS_")

    app_id: str = Field(
        "hourmark-dedup", min_length=1, description="Name of the platform's dedup workers; their consumer group adds the shard's number"
    )
    shard: int = Field(0, ge=0, description="This worker's shard, from 0; each reads its own event types, by a hash of their names")
    shards: int = Field(1, ge=1, le=256, description="Number of shards; to change it: `hourmark dedup reshard` with all workers stopped")
    types: tuple[str, ...] = Field(("*",), description="JSON list of shell patterns: event types beyond them are left to other platforms")
    max_poll: int = Field(20_000, ge=100, le=200_000, description="Records per poll at most: one poll is one unit of work")
    fetch_bytes: int = Field(1_048_576, ge=65_536, description="Bytes per partition and fetch; large ones cost fewer hops between threads")
    commit_interval: float = Field(1.0, gt=0, le=60, description="Seconds between commits of offsets and state")
    session_timeout: float = Field(10.0, ge=2, le=300, description="Seconds after which a silent worker's partitions go to another")
    emit_timeout: float = Field(60.0, gt=0, description="Seconds for a poll's writes to be acknowledged, else the process ends")
    watchdog_s: float = Field(60.0, gt=0, description="Seconds with lag and without progress after which the process ends")
    cpu: int = Field(-1, description="Core to stay on (Linux), -1: any; a worker's two threads share one interpreter and its cache")
    compression: str = Field("none", pattern="^(none|zstd|lz4|gzip|snappy)$", description="Of clean topics; zstd costs 0.6 µs an event")

    @model_validator(mode="after")
    def _own_shard(self) -> Settings:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} is none of {self.shards}: shards count from 0")
        return self

    @property
    def group(self) -> str:
        """Consumer group, and Faust app id, of this shard's workers."""
        return group_of(self.app_id, self.shard)


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with every fault, unknown HOURMARK_DEDUP_* names included."""
    unknown = [f"{name} is no setting" for name in unknown_names(DedupSettings, os.environ) if name.startswith("HOURMARK_DEDUP_")]
    try:
        settings = load(Settings)
    except SettingsError as exc:
        raise SettingsError([*exc.faults, *unknown]) from exc
    if faults := unknown + _unwritable(settings.home):
        raise SettingsError(faults)
    return settings


def _unwritable(home: Path) -> list[str]:
    """Faust needs a folder; without one a worker would fail at its first event type instead of at once."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        return [f"HOURMARK_HOME: {home} cannot be made: {exc.strerror}"]
    return [] if os.access(home, os.W_OK | os.X_OK) else [f"HOURMARK_HOME: {home} cannot be written by this user"]
