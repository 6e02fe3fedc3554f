"""What goes into the store and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hourmark.schemas import EventType

from .history import Record


class Stale(Exception):
    """Another writer was faster; look again. Never leaves the catalogue."""


class StoredEvent(NamedTuple):
    """The current state of one event type. `document`: the declaration; `raw_id`: Kafka's id of its raw topic, empty while unknown."""

    event: str
    revision: int
    schema_id: int
    schema_version: int
    partitions: int
    source: int
    document: dict[str, Any]
    raw_id: str = ""


class StoredSchema(NamedTuple):
    """One version of a wire schema. `payload`: the payload schema it was compiled from; both as JSON text."""

    id: int
    event: str
    version: int
    fingerprint: str
    avro: str
    payload: str


class StoredKey(NamedTuple):
    """A write key without its secret."""

    name: str
    types: list[str]
    revision: int
    token_sha256: str


class OutboxRow(NamedTuple):
    """A record for `hourmark.control`; `value` None: the entry is gone."""

    revision: int
    key: str
    value: bytes | None


class Draft(NamedTuple):
    """An event type about to be stored. `base`: the revision it was made from, None for a new one. `record`: for the audit log."""

    base: int | None
    entry: EventType
    document: Mapping[str, Any]
    wire: Mapping[str, Any]
    fingerprint: str
    record: Record
    raw_id: str = ""
