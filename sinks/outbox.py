"""What the sink says on Kafka: refused records to `rejected`, presented hours to `hourmark.sealed-hours`. At least once.

And the one thing that it asks there: how many partitions a type has now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from hourmark.errors import BrokerUnavailable, PlatformError
from hourmark.kafka import MUTE, producer_config, translate
from hourmark.rejects import Reject, reject_headers
from hourmark.settings import PlatformSettings
from hourmark.topics import REJECTED, SEALED_HOURS, clean_topic

from .manifest import SealedHour, encode


class Refused(NamedTuple):
    """A record for the `rejected` topic: its bytes as they came, and why."""

    value: bytes
    reject: Reject


class Outbox(Protocol):
    def reject(self, refused: Iterable[Refused]) -> None:
        """Returns when all are durable. Raises BrokerUnavailable; a later try sends all of them again."""
        ...

    def announce(self, sealed: SealedHour) -> None:
        """Returns when durable. Raises BrokerUnavailable."""
        ...

    def width(self, event_type: str) -> int:
        """Partitions of the type's clean topic, asked from the brokers now; 0: there is no such topic. Raises BrokerUnavailable."""
        ...


class KafkaOutbox:
    def __init__(self, settings: PlatformSettings) -> None:
        self._config = {**producer_config(settings, linger_ms=5, delivery_timeout_ms=10_000), "logger": MUTE}
        self._producer = Producer(self._config)

    def reject(self, refused: Iterable[Refused]) -> None:
        records = [(REJECTED, item.reject.event_type.encode(), item.value, reject_headers(item.reject)) for item in refused]
        self._send(records)

    def announce(self, sealed: SealedHour) -> None:
        self._send([(SEALED_HOURS, f"{sealed.type}/{sealed.hour}".encode(), encode(sealed), [])])

    def width(self, event_type: str) -> int:
        topic = clean_topic(event_type)
        try:
            found = self._producer.list_topics(topic, timeout=5.0).topics[topic]
        except KafkaException as exc:
            raise translate(exc, f"asking for the partitions of {topic}") from exc
        return len(found.partitions)

    def _send(self, records: list[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]) -> None:
        failed: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failed.append(error)

        try:
            for topic, key, value, headers in records:
                self._produce(topic, key, value, headers, delivered)
            left = self._producer.flush(12.0)
        except KafkaException as exc:
            raise self._failed(exc.args[0]) from exc
        if failed:
            raise self._failed(failed[0])
        if left:
            raise BrokerUnavailable(f"{left} records for the platform topics are not acknowledged in time")

    def _failed(self, error: KafkaError) -> PlatformError:
        found = translate(error, "writing to the platform topics")
        if error.fatal() or error.code() == KafkaError._FATAL:  # it will never write again, where another one may: a right was missing
            self._producer = Producer(self._config)
            return BrokerUnavailable(found.message)
        return found

    def _produce(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]], delivered: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value=value, key=key, headers=list(headers), on_delivery=delivered)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)
