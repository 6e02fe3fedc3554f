"""From records to what people may see of them: fields by name, the times of the stages, personal fields masked."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple
from uuid import UUID

from confluent_kafka import Message

from hourmark.errors import PlatformError
from hourmark.event import ENVELOPE, FLAG_ECHO, FLAG_SKEWED, FLAG_UNCHECKED, ID_END, ID_START, Stamp, schema_id_of
from hourmark.hours import label
from hourmark.rejects import Reject

from ..catalogue import Catalogue
from ..masking import masked, private_of, shape, unquoted

STAGES: Final = ("sent", "received", "stored", "deduplicated")
_ENVELOPE: Final = frozenset(field["name"] for field in ENVELOPE)
_FLAGS: Final = ((FLAG_SKEWED, "skewed"), (FLAG_UNCHECKED, "unchecked"), (FLAG_ECHO, "echo"))


class Decoding:
    """Events by the schema that their value names; each schema is fetched once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._schemas: dict[int, Any] = {}

    def event(self, value: bytes) -> dict[str, Any]:
        """All fields. Raises ValueError when the bytes are no event of that schema."""
        import fastavro

        schema_id = schema_id_of(value)
        if schema_id not in self._schemas:
            try:
                self._schemas[schema_id] = fastavro.parse_schema(self._catalogue.schema(schema_id))
            except PlatformError as exc:
                raise ValueError(f"schema {schema_id}: {exc.message}") from exc
        try:
            found: Any = fastavro.schemaless_reader(io.BytesIO(value[ID_START:]), self._schemas[schema_id], None)
        except Exception as exc:  # whatever bad bytes make fastavro raise
            raise ValueError(f"it cannot be decoded: {type(exc).__name__}: {exc}") from exc
        found["_event_id"] = str(UUID(bytes=found["_event_id"]))
        return dict(found)


class Mask(NamedTuple):
    """What is hidden of an event type's payloads: `private` fields, and the values of fields that are not `declared` (now)."""

    private: frozenset[str]
    declared: frozenset[str]

    def over(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        known = {name: value if name in self.declared else shape(value) for name, value in payload.items()}
        return masked(known, self.private)


def mask_of(declaration: Mapping[str, Any]) -> Mask:
    """By a stored declaration."""
    return Mask(private_of(declaration), frozenset(field["name"] for field in declaration["schema"]["fields"]))


class Sighting(NamedTuple):
    """One event as it was seen. `kind`: accepted, duplicate or rejected. `envelope`, `payload`: as far as they are known, unmasked.

    `stages`: when it passed each of STAGES. `facts`: what else is known, ready for JSON.
    """

    kind: str
    event_id: str
    envelope: Mapping[str, Any]
    payload: Mapping[str, Any]
    stages: Mapping[str, datetime | None]
    facts: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """What conditions are asked of."""
        return {**self.payload, **self.envelope}

    def sender(self, name: str) -> Any:
        return self.envelope.get(f"_{name}")

    def as_json(self, mask: Mask) -> dict[str, Any]:
        envelope = {name: self.sender(name) for name in ("sdk", "sdk_version", "app", "attempt", "sequence", "event_time")}
        facts = dict(self.facts)
        if facts.get("detail"):
            facts["detail"] = unquoted(facts["detail"])
        return {
            "kind": self.kind,
            "id": self.event_id,
            **facts,
            **{name: value for name, value in envelope.items() if value is not None},
            "stages": {name: moment for name, moment in self.stages.items() if moment is not None},
            "ms": steps(self.stages),
            "event": mask.over(self.payload),
        }


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def appended(message: Message) -> datetime:
    """The broker's append time."""
    return moment(message.timestamp()[1])


def steps(stages: Mapping[str, datetime | None]) -> dict[str, float]:
    """Milliseconds from each stage to the next known one, under the later one's name. Below zero: the two clocks differ."""
    known = [(name, found) for name in STAGES if (found := stages.get(name)) is not None]
    return {name: round((at - before) / _MS, 1) for (_, before), (name, at) in pairwise(known)}


_MS: Final = datetime.fromtimestamp(0.001, UTC) - datetime.fromtimestamp(0, UTC)


def flags(stamp: Stamp) -> list[str]:
    return [name for bit, name in _FLAGS if stamp.flags & bit]


def wire_stages(event: Mapping[str, Any], stored: datetime | None = None, deduplicated: datetime | None = None) -> dict[str, Any]:
    return {"sent": event.get("_sent_at"), "received": event.get("_received_at"), "stored": stored, "deduplicated": deduplicated}


def split(event: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Envelope and payload."""
    envelope = {name: value for name, value in event.items() if name in _ENVELOPE}
    return envelope, {name: value for name, value in event.items() if name not in _ENVELOPE}


def of_wire(decoding: Decoding, kind: str, message: Message, stamp: Stamp | None, more: Mapping[str, Any]) -> Sighting:
    """From a raw record, or from a clean one with its stamp."""
    value = message.value() or b""
    try:
        event: dict[str, Any] = decoding.event(value)
    except ValueError as exc:
        event, more = {}, {**more, "undecodable": str(exc)}
    envelope, payload = split(event)
    event_id = str(UUID(bytes=value[ID_START:ID_END])) if len(value) >= ID_END else ""
    place: dict[str, Any]
    if stamp is None:
        place, stages = {"partition": message.partition(), "offset": message.offset()}, wire_stages(event, appended(message))
    else:
        place = {"partition": stamp.partition, "offset": stamp.offset, "clean_offset": message.offset(), "hour": label(stamp.hour)}
        stages = wire_stages(event, moment(stamp.append_ms), appended(message))
        if said := flags(stamp):
            place["flags"] = said
    return Sighting(kind, event_id, envelope, payload, stages, {**place, **more})


def of_reject(message: Message, reject: Reject) -> Sighting:
    """From a record on `rejected`: what the receiver refused is JSON, what came from a topic is not shown but counted in bytes."""
    event = original(message.value() or b"")
    payload = event.get("payload")
    said = {"code": reject.code, "path": reject.path, "detail": reject.detail, "room": reject.room}
    facts: dict[str, Any] = {"partition": message.partition(), "offset": message.offset(), **said}
    if reject.topic:
        facts["from"] = {"topic": reject.topic, "partition": reject.partition, "offset": reject.offset}
    if not isinstance(payload, dict):
        facts["original_bytes"], payload = len(message.value() or b""), {}
    envelope: dict[str, Any] = {"_sdk": reject.sdk, "_sdk_version": reject.sdk_version, "_app": reject.app}
    envelope |= {"_attempt": event.get("attempt"), "_sequence": event.get("seq"), "_event_time": event.get("time")}
    sent = moment(reject.sent_at // 1000) if reject.sent_at else None
    stages = {"sent": sent, "received": moment(reject.at) if reject.at else None, "stored": appended(message)}
    return Sighting("rejected", id_text(reject.event_id), envelope, payload, stages, facts)


def original(value: bytes) -> dict[str, Any]:
    """The event's own JSON as it came; empty when it is none."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def id_text(event_id: str) -> str:
    """An id as rejects hold it (text or 32 digits), as canonical text; as it is when it is none."""
    try:
        return str(UUID(event_id))
    except ValueError:
        return event_id
