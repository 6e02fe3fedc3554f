"""A stranger's consumer: confluent-kafka's AvroDeserializer reads a clean topic through the registry, knowing only two addresses."""

from __future__ import annotations

import uuid

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from cli.demo.ledger import Ledger
from tests.e2e.platform import Platform, until


def test_a_clean_topic_is_readable(platform: Platform) -> None:
    ledger = Ledger(platform.declare("strange"))
    with platform.http() as http:
        ids = {http.send(ledger.event_type, {"number": number}, on_verdict=ledger.original) for number in range(50)}
    topic = f"clean.{ledger.event_type}"
    decode = AvroDeserializer(SchemaRegistryClient({"url": platform.registry}))
    consumer = Consumer({"bootstrap.servers": platform.kafka, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: dict[str, int] = {}

    def read() -> bool:
        for message in consumer.consume(100, 0.5):
            assert message.error() is None
            if message.value() is not None:  # the others are barriers
                event = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
                found[str(uuid.UUID(bytes=event["_event_id"]))] = event["number"]
        return len(found) == 50

    try:
        until("50 events on the clean topic", read)
    finally:
        consumer.close()
    assert found.keys() == ids
    assert sorted(found.values()) == list(range(50))
