"""What the Kafka groups of all shards keep, and which of them an event type's past lies in.

Offsets and state of an event type live in the group of its shard. When they are found in another group, nobody may start it at 0.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.errors import BrokerUnavailable
from hourmark.kafka import client_config, translate

from .settings import Settings

ADMIN_S: Final = 10.0
MOVED: Final = "moved: "  # never the beginning of a state: base85 has neither ':' nor ' '


class Kept(NamedTuple):
    """What a group keeps of a partition. `metadata`: the state, or where it has been moved."""

    offset: int
    metadata: str

    @property
    def moved_to(self) -> str | None:
        """The group that goes on from here, if it is another one."""
        return self.metadata.removeprefix(MOVED) if self.metadata.startswith(MOVED) else None


Where = tuple[str, int]


def groups_of(admin: AdminClient, base: str) -> list[str]:
    """All groups that keep progress of this platform's shards, whatever their number was; `base` itself is from before there were shards.

    Raises BrokerUnavailable.
    """
    ours = re.compile(re.escape(base) + r"(-[0-9]+)?")
    try:
        found = admin.list_consumer_groups(request_timeout=ADMIN_S).result()
    except KafkaException as exc:
        raise translate(exc, "listing consumer groups") from exc
    if found.errors and not found.valid:
        raise translate(found.errors[0], "listing consumer groups")
    return sorted(group.group_id for group in found.valid if ours.fullmatch(group.group_id))


def kept(admin: AdminClient, group: str, wanted: Collection[Where] | None = None) -> dict[Where, Kept]:
    """What this group has committed, of all partitions or of these. Raises BrokerUnavailable."""
    asked = None if wanted is None else [TopicPartition(*where) for where in wanted]
    request = ConsumerGroupTopicPartitions(group) if asked is None else ConsumerGroupTopicPartitions(group, asked)
    try:
        answer = admin.list_consumer_group_offsets([request], request_timeout=ADMIN_S)[group].result()
    except KafkaException as exc:
        if exc.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return {}
        raise translate(exc, f"reading the committed offsets of {group}") from exc
    return {(p.topic, p.partition): Kept(p.offset, p.metadata or "") for p in answer.topic_partitions or () if p.offset >= 0}


def wait_for_group(admin: AdminClient, group: str, stopping: Callable[[], bool], on_wait: Callable[[str], None]) -> None:
    """Returns when this user may read as a member of the group, or `stopping`. Without that right a group looks as if it were not there."""
    told = ""
    while not stopping():
        try:
            kept(admin, group)
            return
        except BrokerUnavailable as exc:
            if exc.message != told:
                on_wait(f"waiting for the group: {exc.message}")
            told = exc.message
            time.sleep(1.0)


def past_elsewhere(settings: Settings, wanted: Collection[Where]) -> dict[Where, str]:
    """Of these partitions, those that another group of the platform has read, and that group. Raises BrokerUnavailable."""
    if not wanted:
        return {}
    admin = AdminClient(client_config(settings))
    return owners({group: kept(admin, group, wanted) for group in groups_of(admin, settings.app_id) if group != settings.group})


def owners(found: Mapping[str, Mapping[Where, Kept]]) -> dict[Where, str]:
    """Partition → the group that knows its past best: where it was not moved away, and farthest."""
    best: dict[Where, tuple[int, str]] = {}
    for group in sorted(found):
        for where, progress in found[group].items():
            if progress.moved_to is None:
                best[where] = max(best.get(where, (-1, "")), (progress.offset, group))
    return {where: group for where, (_, group) in best.items()}
