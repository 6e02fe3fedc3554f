"""Records of events that are not stored: on `parked`, until their type is declared, and on `rejected`, with the reason."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from hourmark.errors import Rejected
from hourmark.parked import PARKED_HEADER, parked_partition
from hourmark.rejects import Reject, reject_headers
from hourmark.topics import PARKED, PLATFORM_PARTITIONS, REJECTED, partition_of

from .codec import Sender
from .delivery import Record

REJECT_MAX = 6 * 1024 * 1024  # of an event that is much too large only the start is kept


class Origin(NamedTuple):
    """Coordinates of the record that an event came from; none when it came over HTTP."""

    topic: str = ""
    partition: int = -1
    offset: int = -1


NO_ORIGIN = Origin()


def parked_record(event_type: str, event_id: bytes, envelope: bytes, event: bytes) -> Record:
    """`envelope`: the sender as JSON. `event`: its original bytes, which must be JSON too."""
    value = b'{"envelope":%b,"event":%b}' % (envelope, event)
    return (PARKED, value, event_id, parked_partition(event_type), [(PARKED_HEADER, event_type.encode())])


class Refusals:
    """Makes the records of one sender's rejected events; `at`: ms since 1970. `request_id`: of the request that they came with."""

    def __init__(self, sender: Sender, at: int, request_id: str = "") -> None:
        self._sender, self._at, self._request_id = sender, at, request_id

    def record(
        self, event_type: str, event_id: bytes, error: Rejected, original: bytes, origin: Origin = NO_ORIGIN, most: int = REJECT_MAX
    ) -> Record:
        sender = self._sender
        reject = Reject(
            room="receiver",
            code=error.code,
            event_type=event_type[:256],
            detail=error.message[:2000],
            path=error.path,
            event_id=str(UUID(bytes=event_id)) if event_id else "",
            sdk=sender.sdk,
            sdk_version=sender.sdk_version,
            app=sender.app,
            install=sender.install or "",
            sent_at=sender.sent_at,
            at=self._at,
            request_id=self._request_id,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
        )
        partition = partition_of(event_id, PLATFORM_PARTITIONS[REJECTED])
        return (REJECTED, original[:most], event_id or None, partition, list(reject_headers(reject)))


def envelope_of(sender: Sender) -> bytes:
    """The sender as JSON, the form in which it is parked."""
    return msgspec.json.encode(sender._asdict())
