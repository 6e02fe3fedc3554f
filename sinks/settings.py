"""What a sink worker can be told. Environment names: HOURMARK_SINKS_<FIELD>, and the common ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from hourmark.settings import PlatformSettings, common

MIB = 1024 * 1024


class Settings(PlatformSettings):
    """Settings of one sink worker. All workers of one group share the event types' partitions among them."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_SINKS_")

    lake_url: str = common("lake_url", description="Where the lake is: file:///var/lib/hourmark, s3://bucket/prefix, gs:// or az://")
    lake_options: dict[str, SecretStr] = common(
        "lake_options", {}, description="JSON mapping of text to text passed to the object store's client, in obstore's names"
    )
    group: str = Field("hourmark-sink-0", description="Kafka consumer group: one per shard of event types")
    buffer_bytes: int = Field(96 * MIB, ge=1 * MIB, description="Events held in memory before the largest partition is written out")
    part_bytes: int = Field(48 * MIB, ge=1 * MIB, description="Events of one partition and hour held before they are written out")
    session_timeout_ms: int = Field(10_000, ge=1000, description="How long a silent worker keeps its partitions")
    decoder: Literal["columnar", "row"] = Field(
        "columnar", description="How events become columns: many at once, or one by one with fastavro, slower; the rows are the same"
    )
    schema_wait_s: float = Field(10.0, ge=0, description="How long an unknown schema id is awaited before the registry is asked")
    sweep_every_s: float = Field(3600.0, gt=0, description="How often a type's staged parts and old commit entries are looked through")
    sweep_age_s: float = Field(6 * 3600.0, ge=0, description="Age in seconds from which a staged part that has done its work is taken away")
    checkpoint_entries: int = Field(64, ge=2, description="Commit entries of sealed hours that are worth a checkpoint")

    @property
    def plain_lake_options(self) -> dict[str, str]:
        """The options as obstore wants them, secrets readable."""
        return {name: value.get_secret_value() for name, value in self.lake_options.items()}
