"""Live records from Kafka for `tail`: read outside any group from the end of every partition, decoded by the registry's schemas."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, Message, TopicPartition

from hourmark.event import STAMP_HEADER, schema_id_of, unpack_stamp
from hourmark.hours import label
from hourmark.kafka import partition_counts, tail_config
from hourmark.rejects import read_reject
from hourmark.topics import REJECTED, clean_topic

from .addresses import Addresses
from .catalogue import Catalogue
from .failures import Unreachable, WrongInput


@dataclass(frozen=True)
class Line:
    """One record to show. `title`: its id or the reason of the refusal. `event`: decoded fields. `facts`: where it stands."""

    when: datetime
    title: str
    event: dict[str, Any]
    facts: dict[str, Any]


class Reading(Protocol):
    """Turns one record into a line; None for what is not to be shown (barriers, other event types)."""

    def __call__(self, message: Message) -> Line | None: ...


class Live:
    """All partitions of one topic from now on (or from the start)."""

    def __init__(self, at: Addresses, topic: str, read: Reading) -> None:
        self._at, self._topic, self._read = at, topic, read

    def follow(self, *, from_start: bool = False) -> Iterator[Line | None]:
        """Lines for ever; None at least once a second, so that the caller can stop. Raises Unreachable, WrongInput."""
        consumer = Consumer(tail_config(self._at.settings(), auto_offset_reset="latest"))
        try:
            partitions = partition_counts(consumer, [self._topic]).get(self._topic)
            if not partitions:
                raise WrongInput(f"there is no topic {self._topic}", where=self._at.kafka)
            start = OFFSET_BEGINNING if from_start else OFFSET_END
            consumer.assign([TopicPartition(self._topic, number, start) for number in range(partitions)])
            while True:
                yield None
                for message in consumer.consume(500, 0.5):
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._ALL_BROKERS_DOWN:
                            raise Unreachable(f"Kafka has gone: {error.str()}", where=self._at.kafka, remedy="see `hourmark status`")
                        continue
                    line = self._read(message)
                    if line is not None:
                        yield line
        finally:
            consumer.close()


def limited(lines: Iterable[Line | None], count: int, seconds: float) -> Iterator[Line]:
    """At most `count` lines within `seconds`; 0 means no limit."""
    deadline = time.monotonic() + seconds if seconds else float("inf")
    shown = 0
    for line in lines:
        if line is not None:
            yield line
            shown += 1
        if (count and shown >= count) or time.monotonic() > deadline:
            return


def clean(at: Addresses, catalogue: Catalogue, event_type: str) -> Live:
    """The deduplicated events of a type."""
    return Live(at, clean_topic(event_type), CleanReading(catalogue))


def rejected(at: Addresses, event_type: str) -> Live:
    """The refused events of a type, with the reason."""
    return Live(at, REJECTED, RejectedReading(event_type))


class CleanReading:
    """Decodes events by the schema their value names; each schema is fetched once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._schemas: dict[int, Any] = {}

    def __call__(self, message: Message) -> Line | None:
        from uuid import UUID

        from fastavro import schemaless_reader

        value = message.value()
        if value is None:
            return None
        schema_id = schema_id_of(value)
        event: Any = schemaless_reader(io.BytesIO(value[5:]), self._schema(schema_id), None)
        event["_event_id"] = str(UUID(bytes=event["_event_id"]))
        facts = {**_where(message), "schema_id": schema_id}
        for name, header in _headers(message):
            if name == STAMP_HEADER:
                facts["hour"] = label(unpack_stamp(header).hour)
        return Line(event["_event_time"], event["_event_id"], event, facts)

    def _schema(self, schema_id: int) -> Any:
        if schema_id not in self._schemas:
            from fastavro import parse_schema

            self._schemas[schema_id] = parse_schema(self._catalogue.schema(schema_id))
        return self._schemas[schema_id]


class RejectedReading:
    """Shows the refusals of one event type: the code, the place, and the original bytes as JSON where they are."""

    def __init__(self, event_type: str) -> None:
        self._event_type = event_type

    def __call__(self, message: Message) -> Line | None:
        reject = read_reject(_headers(message))
        if reject is None or reject.event_type != self._event_type:
            return None
        facts = {**_where(message), "code": reject.code, "path": reject.path, "detail": reject.detail, "room": reject.room}
        when = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        title = " ".join(part for part in (reject.code, reject.path, reject.detail) if part)
        return Line(when, title, _original(message.value() or b""), facts)


def _headers(message: Message) -> list[tuple[str, bytes]]:
    found: Any = message.headers() or ()
    return [(name, value) for name, value in found if isinstance(value, bytes)]


def _original(value: bytes) -> dict[str, Any]:
    import json

    try:
        found = json.loads(value)
    except ValueError:
        found = value.decode("utf-8", "backslashreplace")
    return found if isinstance(found, dict) else {"original": found}


def _where(message: Message) -> dict[str, Any]:
    return {"partition": message.partition(), "offset": message.offset()}
