"""Settings of the registry, from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from hourmark.canary import CanarySettings
from hourmark.metrics import listen_address


class Settings(CanarySettings):
    """What the registry needs to know beside the common settings."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_REGISTRY_")

    listen: str = Field("127.0.0.1:8081", description="host:port of the HTTP server; port 0 takes a free one")
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user@host/database, for one registry or several; empty: SQLite in HOURMARK_HOME/registry.db",
    )
    admin_token: SecretStr = Field(
        SecretStr(""), description="When set, writes need it as `Authorization: Bearer`, or in the face as Basic's password"
    )
    auto_register: bool = Field(False, description="Let producers register new schemas under Confluent's paths with their write keys")
    require_if_match: bool = Field(False, description="Refuse (428) to change what exists when the request does not name its revision")
    local_write_key: SecretStr = Field(
        SecretStr(""), description="Write key that is made sure of at start, named `local`, for all event types"
    )
    numbers_after: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="Schema ids and revisions up to this one are never given out: for a registry that is begun anew beside an old lake",
    )
    replicas: int = Field(-1, ge=-1, le=32767, description="Replicas of new topics; -1: the broker's default")

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        listen_address(listen)
        return listen

    @property
    def database(self) -> str:
        """The store's URL, with the default filled in."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.home.absolute() / 'registry.db'}"
