"""What a receiver is told: where to listen, and how much it takes before it refuses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from hourmark.canary import CanarySettings
from hourmark.metrics import listen_address

MIB = 1024 * 1024


class Settings(CanarySettings):
    """All limits count bytes after decoding. Several receivers may share one `listen` address (SO_REUSEPORT)."""

    model_config = SettingsConfigDict(env_prefix="HOURMARK_RECEIVER_")

    listen: str = Field("127.0.0.1:8080", description="host:port to serve on; port 0 for a free one")
    inflight_bytes: int = Field(
        256 * MIB, ge=MIB, description="Bytes of events waiting for Kafka, shared among the tiers; as much again may be being read"
    )
    body_bytes: int = Field(20 * MIB, ge=1024, description="Largest body of a request, decoded")
    event_bytes: int = Field(MIB, ge=1024, le=MIB, description="Largest event, as JSON")
    batch_events: int = Field(10_000, ge=1, description="Most events of one request")
    stall_s: float = Field(10.0, gt=0, description="Longest wait for the next bytes of a body, seconds")
    body_s: float = Field(60.0, gt=0, description="Longest time for a whole body, seconds")
    delivery_s: float = Field(30.0, ge=1, description="Longest wait for Kafka's acknowledgement before the verdict is `retry`, seconds")
    broker_down_s: float = Field(3.0, gt=0, description="Refuse with 503 after Kafka has not answered for so long, seconds")
    probe_s: float = Field(5.0, gt=0, description="Seconds between test records to Kafka when no event flows")
    linger_ms: float = Field(3.0, ge=0, description="How long the Kafka client collects records before it sends them, milliseconds")
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field("lz4", description="Compression of records on the way to Kafka")
    quota_events_s: float = Field(0.0, ge=0, description="Events per second of one write key, with a burst of two seconds; 0: no quota")
    replay_events_s: float = Field(
        2000.0, ge=0, description="Parked events replayed per second, once their type is declared; 0: this process replays none"
    )
    parked_notice_h: float = Field(48.0, ge=0, description="Warn so many hours before parked events are deleted unreplayed")
    web_origins: str = Field("", description="Origins of web pages that may send, like https://shop.example, comma separated; *: all")
    stop_s: float = Field(12.0, gt=0, le=14, description="Longest wait at a stop for requests that were accepted, seconds")

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        listen_address(listen)
        return listen
