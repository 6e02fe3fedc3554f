"""The record on `parked`: an event whose type nobody has declared yet. The record on `hourmark.replays`: how far the replay of a type is.

All events of a type lie in one partition, in order of arrival: whoever owns it replays them in this order.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from .topics import PARKED, PLATFORM_PARTITIONS, partition_of

PARKED_HEADER: Final = "hm-parked"
PARKED_GROUP: Final = "hourmark-parked"  # of the receivers; its committed offset: everything before it is settled


class ParkedEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """What the request said of all its events; times in microseconds since 1970."""

    sdk: str
    sdk_version: str = ""
    app: str = ""
    install: str | None = None
    sent_at: int
    received_at: int


class ParkedEvent(msgspec.Struct, frozen=True):
    """Value of a record on `parked`. `event`: the original bytes."""

    envelope: ParkedEnvelope
    event: Raw


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Value of a record on `hourmark.replays`: of this type, every offset of the parked partition below `next` is settled.

    `replayed`: so many have gone to the raw topic, `rejected`: so many did not fit; both count repeats after a crash. `at`: ms since 1970.
    """

    type: str
    partition: int
    next: int
    replayed: int = 0
    rejected: int = 0
    at: int = 0

    @property
    def key(self) -> bytes:
        return f"{self.type}/{self.partition}".encode()


_event: Final = msgspec.json.Decoder(ParkedEvent)
_replayed: Final = msgspec.json.Decoder(Replayed)


def parked_partition(event_type: str) -> int:
    return partition_of(event_type.encode(), PLATFORM_PARTITIONS[PARKED])


def read_parked(value: bytes) -> ParkedEvent:
    """Raises msgspec.DecodeError when this is no record of `parked`."""
    return _event.decode(value)


def read_replayed(value: bytes) -> Replayed:
    """Raises msgspec.DecodeError."""
    return _replayed.decode(value)


def parked_type(headers: Any) -> str:
    """The event type in a Kafka message's headers; empty when there is none that can be read."""
    for name, value in headers or ():
        if name == PARKED_HEADER and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
    return ""
