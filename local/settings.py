"""Settings of the native stack. Owns what the stack may be told; what it chose by itself is remembered in remembered.py."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from hourmark.hours import parse_label
from hourmark.settings import PREFIX, PlatformSettings, common, environment_names

AWKWARD = ",;#:\"'\\\n"
NOT_FOR_SERVICES = ("TEST_", "CLIENT_", "DEMO_", "BENCH_")


class StackSettings(PlatformSettings):
    """What `hourmark up` reads from the environment. Ports of 0: a free one, chosen once and kept. Counts are processes."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_LOCAL_", validate_default=True)

    kafka: str = common("kafka", "", description="Kafka to use instead of an own one, host:port[,host:port]; empty: start one")
    redis_url: str = common("redis_url", "", description="Redis to use instead of an own one; empty: start one")
    lake_url: str = common("lake_url", "", description="Where sealed hours go; empty: the folder `lake` in HOURMARK_HOME")
    profile: Literal["local", "production"] = common("profile", "local", description="The native stack is for the profile `local`")
    log_format: Literal["console", "json"] = common("log_format", "console", description="Log lines for people or for machines")

    receivers: int = Field(1, ge=1, le=32, description="Receiver processes, all on one port")
    dedup_workers: int = Field(2, ge=1, le=64, description="Dedup worker processes")
    dedup_shards: int = Field(1, ge=1, le=64, description="Shards of event types, dealt out to the dedup workers in turn")
    sink_workers: int = Field(2, ge=1, le=64, description="Sink worker processes")
    receiver_port: int = Field(0, ge=0, le=65535, description="Port of the receivers; 0: a free one, kept")
    registry_port: int = Field(0, ge=0, le=65535, description="Port of the registry; 0: a free one, kept")
    kafka_port: int = Field(0, ge=0, le=65535, description="Port of the own Kafka; 0: a free one, kept")
    redis_port: int = Field(0, ge=0, le=65535, description="Port of the own Valkey; 0: a free one, kept")
    kafka_heap_mb: int = Field(512, ge=128, le=1024, description="Most memory of the own Kafka's heap, in MB")
    canary: bool = Field(False, description="Send canary events through the front door: shows how long events take, and that they do")
    start_seconds: float = Field(180.0, gt=0, description="How long `up` waits for the stack to be ready")

    @field_validator("home")
    @classmethod
    def _plain_path(cls, home: Path) -> Path:
        home = home.expanduser().absolute()
        if any(letter in AWKWARD for letter in str(home)):
            letters = " ".join(AWKWARD.strip())
            raise ValueError(f"{home} holds one of {letters} which the servers' configuration files cannot; choose another path")
        return home

    @model_validator(mode="after")
    def _time_lapse(self) -> StackSettings:
        """Unlike a service, the stack may be told hour seconds alone: it then starts the labels at the current hour and keeps that."""
        if self.profile != "local":
            raise ValueError("the native stack is for the profile `local`, not for `production`")
        if self.hour_anchor:
            parse_label(self.hour_anchor)
        if self.dedup_shards > self.dedup_workers:
            raise ValueError(f"{self.dedup_shards} shards need as many dedup workers at least, not {self.dedup_workers}")
        return self

    def digests(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What this stack was told, name → digest, to notice a change while it runs. Digests, because values may be secrets."""
        own = environment_names(type(self))
        fields = self.model_fields_set - {"home", "start_seconds"}
        told = {name: repr(getattr(self, field)) for name, field in own.items() if field in fields}
        for name in environ:
            if name.startswith(PREFIX) and name not in own and not name.removeprefix(PREFIX).startswith(NOT_FOR_SERVICES):
                told[name] = environ[name]
        return {name: blake2b(value.encode(), digest_size=8).hexdigest() for name, value in sorted(told.items())}
