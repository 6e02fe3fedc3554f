"""Which rights a run has made use of, and what it takes to make use of the rarer ones."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from cli.acls import CLUSTER, GROUP, RIGHTS, TOPIC, TRANSACTIONAL_ID, Grant, grants_of, spelled
from hourmark.kafka import tail_config
from hourmark.rejects import Reject, read_reject
from hourmark.settings import PlatformSettings
from hourmark.topics import PLATFORM_PARTITIONS, REJECTED
from tests.secured.broker import ADMIN, SecuredKafka

KINDS = {TOPIC: "Topic", GROUP: "Group", CLUSTER: "Cluster", TRANSACTIONAL_ID: "TransactionalId"}


def unused(broker: SecuredKafka) -> list[Grant]:
    """Rights of the table, but for the optional ones, that nobody has made use of."""
    used = broker.decided("Allowed")
    return [
        grant
        for role in RIGHTS
        for grant in grants_of(role, f"hourmark-{role}", optional=False)
        if not any(
            (f"User:{user}", operation, kind) == (grant.principal, spelled(grant.operation), KINDS[grant.resource])
            and (grant.name == "*" or name == grant.name or (grant.prefix and name.startswith(grant.name)))
            for user, operation, kind, name in used
        )
    ]


def litter(broker: SecuredKafka, user: str, topic: str) -> None:
    """A record that is no event."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, **broker.options(user)})
    producer.produce(topic, b"no event", partition=0)
    assert producer.flush(60.0) == 0


def rooms_that_rejected(broker: SecuredKafka) -> set[str]:
    settings = PlatformSettings(kafka=broker.bootstrap, kafka_options=broker.options(ADMIN), profile="local")
    consumer = Consumer(tail_config(settings, enable_partition_eof=True))
    consumer.assign([TopicPartition(REJECTED, number, 0) for number in range(PLATFORM_PARTITIONS[REJECTED])])
    found, ends = set[str](), 0
    while ends < PLATFORM_PARTITIONS[REJECTED]:
        for message in consumer.consume(100, 1.0):
            reject = _rejected(message) if message.error() is None else None
            ends += message.error() is not None
            found |= {reject.room} if reject is not None else set()
    consumer.close()
    return found


def _rejected(message: Message) -> Reject | None:
    headers: Any = message.headers()  # a list of pairs; the stubs allow what only producers pass
    return read_reject(headers)
