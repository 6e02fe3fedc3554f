"""The catalogue as every node sees it: event types, wire schemas and write keys, in one immutable snapshot.

The registry writes these entries to `hourmark.control`; all other rooms only read them. The forms here are the wire contract of that topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec

from .topics import TIERS, Tier, TierPolicy


class EventType(msgspec.Struct, frozen=True, kw_only=True, tag="type", tag_field="kind"):
    """A declared event type, compiled: what receivers, workers and sinks need to know about it.

    `partitions` is the count of the raw and of the clean topic. `source` tells incarnations of the raw topic apart.
    `dedup`: `closed` holds events while the index is away, `open` forwards them flagged unchecked.
    `audit`: what happens to an hour whose audit does not balance: `flag` seals it with complete=false, `hold` does not seal it.
    `reason` says why it is blocked or deprecated; `until` (a date) and `replaced_by` (an event type) belong to `deprecated`.
    `private`: top-level payload fields that the declaration protects; whatever shows events to people masks them.
    """

    revision: int
    event: str
    owner: str
    tier: Tier = "standard"
    key: str | None = None
    sdks: tuple[str, ...] = ("*",)
    lifecycle: str = "active"
    schema_id: int
    schema_version: int = 1
    partitions: int
    source: int = 1
    dedup: str = "closed"
    audit: str = "flag"
    reason: str = ""
    until: str = ""
    replaced_by: str = ""
    private: tuple[str, ...] = ()

    @property
    def policy(self) -> TierPolicy:
        return TIERS[self.tier]

    def admits_sdk(self, name: str) -> bool:
        """True when the SDK of this name is bound to the event type (`*` binds all)."""
        return "*" in self.sdks or name in self.sdks


class WireSchema(msgspec.Struct, frozen=True, kw_only=True, tag="schema", tag_field="kind"):
    """One version of an event type's wire schema: envelope and payload fields, as Avro JSON. `schema_id` is the id in the framing.

    `text` stays as it came (`avro_text` makes it): of ten thousand schemas a node reads the few whose events it meets.
    """

    revision: int
    schema_id: int
    event: str
    version: int
    fingerprint: str
    text: msgspec.Raw = msgspec.field(name="avro")

    @property
    def avro(self) -> dict[str, Any]:
        """The schema itself, read anew each time."""
        found: dict[str, Any] = msgspec.json.decode(self.text)
        return found


def avro_text(avro: Mapping[str, Any]) -> msgspec.Raw:
    """A wire schema as the text that a `WireSchema` holds."""
    return msgspec.Raw(msgspec.json.encode(avro))


class WriteKey(msgspec.Struct, frozen=True, kw_only=True, tag="key", tag_field="kind"):
    """Who may send. `token_sha256`: hex digest of the key; the key itself never leaves the registry. `types`: shell-style patterns."""

    revision: int
    name: str
    token_sha256: str
    types: tuple[str, ...] = ("*",)

    def may_send(self, event_type: str) -> bool:
        return any(pattern == "*" or fnmatchcase(event_type, pattern) for pattern in self.types)


Entry = EventType | WireSchema | WriteKey


def entry_key(entry: Entry) -> str:
    """Record key of an entry on the control topic: `type/<event>`, `schema/<id>`, `key/<name>`."""
    if isinstance(entry, EventType):
        return f"type/{entry.event}"
    if isinstance(entry, WireSchema):
        return f"schema/{entry.schema_id}"
    return f"key/{entry.name}"


def token_digest(token: str) -> str:
    """How a write key is looked up: hex SHA-256 of its UTF-8 bytes (keys are random, so no salt is needed)."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


_entry_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    return msgspec.json.encode(entry)


def decode_entry(value: bytes) -> Entry:
    """Raises msgspec.DecodeError (or its ValidationError) when the bytes are no entry."""
    return _entry_decoder.decode(value)


class Snapshot(msgspec.Struct, frozen=True):
    """All entries up to `revision`. Immutable: a change makes a new one, so readers never lock. `keys` is by token digest."""

    revision: int
    types: Mapping[str, EventType]
    schemas: Mapping[int, WireSchema]
    keys: Mapping[str, WriteKey]

    def with_changes(self, changes: Iterable[tuple[str, Entry | None]]) -> Snapshot:
        """The snapshot after these (record key, entry or None for deleted), in order. Older revisions of one entry are ignored."""
        types, schemas, keys = dict(self.types), dict(self.schemas), dict(self.keys)
        revision = self.revision
        for key, entry in changes:
            if entry is None:
                _forget(key, types, keys)
                continue
            revision = max(revision, entry.revision)
            if isinstance(entry, EventType):
                known = types.get(entry.event)
                if known is None or known.revision <= entry.revision:
                    types[entry.event] = entry
            elif isinstance(entry, WireSchema):
                schemas[entry.schema_id] = entry
            elif all(known.revision <= entry.revision for known in keys.values() if known.name == entry.name):
                _forget(key, types, keys)
                keys[entry.token_sha256] = entry
        return Snapshot(revision, MappingProxyType(types), MappingProxyType(schemas), MappingProxyType(keys))

    def entries(self) -> list[Entry]:
        """Everything, schemas first, so that a type never stands before its schema."""
        return [*self.schemas.values(), *self.types.values(), *self.keys.values()]


def _forget(key: str, types: dict[str, EventType], keys: dict[str, WriteKey]) -> None:
    kind, _, name = key.partition("/")
    if kind == "type":
        types.pop(name, None)
    elif kind == "key":
        for digest in [digest for digest, known in keys.items() if known.name == name]:
            del keys[digest]


EMPTY = Snapshot(0, MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """A snapshot for the disk: one JSON document."""
    return msgspec.json.encode({"revision": snapshot.revision, "entries": snapshot.entries()})


class _Stored(msgspec.Struct):
    revision: int
    entries: list[Entry]


_stored_decoder = msgspec.json.Decoder(_Stored)


def read_snapshot(data: bytes) -> Snapshot:
    """Inverse of `snapshot_bytes`. Raises msgspec.DecodeError on damage."""
    stored = _stored_decoder.decode(data)
    snapshot = EMPTY.with_changes((entry_key(entry), entry) for entry in stored.entries)
    return msgspec.structs.replace(snapshot, revision=max(stored.revision, snapshot.revision))
