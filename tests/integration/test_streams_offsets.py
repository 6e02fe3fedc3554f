"""Offsets with their states, written by the worker's client and read by librdkafka: whole, whatever their length."""

from __future__ import annotations

import secrets

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from confluent_kafka.admin import AdminClient

from dedup.deduplicator import PartitionState
from hourmark.event import Tally
from hourmark.kafka import TopicSpec, ensure_topics
from streams.groups import kept
from streams.state import decode_state, encode_state

pytestmark = pytest.mark.real


async def test_states_of_any_length_are_read_by_librdkafka_as_they_were_written(kafka: str) -> None:
    topic, group, admin = f"t{secrets.token_hex(4)}.offsets", f"t{secrets.token_hex(4)}", AdminClient({"bootstrap.servers": kafka})
    states = [PartitionState(7, 1, n, 1, 0, {hour: Tally(n, n, 0, 0, 0) for hour in range(n)}) for n in range(40)]
    ensure_topics(admin, [TopicSpec(topic, len(states), {}, 1)])
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(len(states))])
        await consumer.commit({TopicPartition(topic, n): OffsetAndMetadata(n, encode_state(state)) for n, state in enumerate(states)})
    finally:
        await consumer.stop()
    for _ in range(5):  # what lies behind a text in memory is another thing each time
        found = kept(admin, group)
        assert [decode_state(found[topic, n].metadata, "") for n in range(len(states))] == states
    admin.delete_topics([topic])
