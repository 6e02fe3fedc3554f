"""Who reads an event type: Kafka's consumer groups on its topics, by name.

A look with a time limit; what Kafka does not say in time is unknown.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Any, Final, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from hourmark.kafka import client_config
from hourmark.topics import event_type_of

from ..addresses import Addresses

LOOK_S: Final = 6.0
MAX_GROUPS: Final = 500


class Reader(NamedTuple):
    """A consumer group that reads a topic of the event type. `members`: its consumers there now; 0: it has been there before."""

    group: str
    topic: str
    members: int


class Readers(NamedTuple):
    """Event type → who reads it. `unknown`: why that is not all."""

    of: dict[str, list[Reader]]
    unknown: str = ""


def readers(at: Addresses, event_types: Iterable[str], look_s: float = LOOK_S) -> Readers:
    """Of these types, from a Kafka that may be away. Never raises for what Kafka does."""
    wanted = {f"{kind}.{name}" for name in event_types for kind in ("raw", "clean")}
    if not wanted:
        return Readers({})
    if not at.kafka:
        return Readers({}, "who reads is unknown: set HOURMARK_KAFKA to ask Kafka for its consumer groups")
    deadline = time.monotonic() + look_s
    try:
        counted = _counted(AdminClient(client_config(at.settings())), wanted, deadline)
    except (KafkaException, LateError) as exc:
        return Readers({}, f"who reads is unknown: Kafka did not say ({exc or 'no answer in time'})")
    found: dict[str, list[Reader]] = defaultdict(list)
    for (group, topic), members in sorted(counted.items()):
        found[event_type_of(topic)].append(Reader(group, topic, members))
    return Readers(dict(found))


def _counted(admin: AdminClient, wanted: set[str], deadline: float) -> dict[tuple[str, str], int]:
    """(group, topic) → members. Raises KafkaException, TimeoutError."""
    groups = [group.group_id for group in _result(admin.list_consumer_groups(request_timeout=LOOK_S), deadline).valid][:MAX_GROUPS]
    if not groups:
        return {}
    found: dict[tuple[str, str], int] = defaultdict(int)
    idle = []
    for group, future in admin.describe_consumer_groups(groups, request_timeout=LOOK_S).items():
        members = _result(future, deadline).members
        for member in members:
            for topic in _topics(member.assignment.topic_partitions if member.assignment else (), wanted):
                found[group, topic] += 1
        if not members:
            idle.append(group)
    asked = [(group, admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=LOOK_S)) for group in idle]
    for group, answers in asked:
        for topic in _topics(_result(answers[group], deadline).topic_partitions or (), wanted):
            found.setdefault((group, topic), 0)
    return found


def _topics(partitions: Iterable[Any], wanted: set[str]) -> Iterator[str]:
    yield from {partition.topic for partition in partitions} & wanted


def _result(future: Future[Any], deadline: float) -> Any:
    return future.result(timeout=max(deadline - time.monotonic(), 0.0))
