"""Who has sent an event type lately: SDKs, versions and apps from the envelopes of its newest events. A look with a time limit."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import TimeoutError as LateError
from typing import Any, Final, NamedTuple

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.errors import BrokerUnavailable
from hourmark.event import ENVELOPE, ID_START
from hourmark.kafka import client_config, partition_counts, tail_config
from hourmark.topics import clean_topic, event_type_of

from ..addresses import Addresses

LOOK_S: Final = 4.0
NEWEST: Final = 50  # records of each partition, barriers among them
MAX_TYPES: Final = 200

# The envelope stands before the payload, in the same order in every wire schema: it can be read without the registry.
_ENVELOPE: Final[Any] = fastavro.parse_schema({"type": "record", "name": "Envelope", "fields": list(ENVELOPE)})
_LATEST: Final[Any] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library forgot its annotation

Place = tuple[str, int]  # topic, partition
Who = tuple[str, str, str]  # SDK, its version, app


class Sender(NamedTuple):
    """`events`: how many of the newest ones came from it."""

    sdk: str
    version: str
    app: str
    events: int

    def __str__(self) -> str:
        return f"{self.sdk} {self.version} ({self.app})"


def senders(at: Addresses, event_types: Iterable[str], look_s: float = LOOK_S) -> dict[str, list[Sender]]:
    """Of these types, most frequent first; a type without recent events is missing. Never raises for what Kafka does."""
    topics = [clean_topic(name) for name in event_types][:MAX_TYPES]
    if not topics or not at.kafka:
        return {}
    deadline = time.monotonic() + look_s
    consumer = Consumer(tail_config(at.settings(), auto_offset_reset="earliest"))
    try:
        counted = _counted(consumer, _starts(AdminClient(client_config(at.settings())), topics, look_s), deadline)
    except (KafkaException, BrokerUnavailable, LateError):
        return {}
    finally:
        consumer.close()
    return {event: [Sender(*who, number) for who, number in counts.most_common()] for event, counts in counted.items()}


def _starts(admin: AdminClient, topics: list[str], look_s: float) -> dict[Place, tuple[int, int]]:
    """From where to read, and the end, of each partition that holds something."""
    counts = partition_counts(admin, topics, timeout=look_s)
    places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    answers = admin.list_offsets(dict.fromkeys(places, _LATEST), request_timeout=look_s) if places else {}
    ends = {(place.topic, place.partition): future.result(timeout=look_s).offset for place, future in answers.items()}
    return {place: (max(end - NEWEST, 0), end) for place, end in ends.items() if end > 0}


def _counted(
    consumer: Consumer, places: dict[tuple[str, int], tuple[int, int]], deadline: float
) -> dict[str, Counter[tuple[str, str, str]]]:
    found: dict[str, Counter[tuple[str, str, str]]] = {}
    consumer.assign([TopicPartition(topic, number, start) for (topic, number), (start, _) in places.items()])
    left = {place: end for place, (_, end) in places.items()}
    while left and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.2):
            place = (str(message.topic()), int(message.partition() or 0))
            if message.error() is None:
                if (who := _who(message)) is not None:
                    found.setdefault(event_type_of(place[0]), Counter())[who] += 1
                if int(message.offset() or 0) + 1 >= left.get(place, 0):
                    left.pop(place, None)
    return found


def _who(message: Message) -> Who | None:
    value = message.value()
    if value is None:
        return None
    try:
        found: Any = fastavro.schemaless_reader(io.BytesIO(value[ID_START:]), _ENVELOPE, None)
    except Exception:  # whatever bad bytes make fastavro raise: then nobody can say who sent it
        return None
    return found["_sdk"], found["_sdk_version"], found["_app"]
