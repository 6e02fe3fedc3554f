"""Accepts that retention has removed records which were never read: the workers of their group go on behind the gap.

Only what is gone already is given up, and the books keep the gap: the hour that is open across it is never called complete.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.errors import UnknownEventType
from hourmark.kafka import client_config, translate
from hourmark.settings import PlatformSettings
from hourmark.topics import raw_topic

from .groups import ADMIN_S, Where, groups_of, kept
from .reshard import refuse_running, write_offsets

EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library forgot its annotation


class Gap(NamedTuple):
    """Records `first` to `until - 1` of a raw partition are gone unread, barriers among them counted too."""

    group: str
    partition: int
    first: int
    until: int

    @property
    def records(self) -> int:
        return self.until - self.first


def accept_loss(settings: PlatformSettings, base: str, event_type: str, *, dry: bool = False) -> list[Gap]:
    """Move the committed offsets of the type's raw partitions to where their logs begin now, states and all. `dry`: only say what is gone.

    Raises UnknownEventType when no group has read the type, WorkersRun, BrokerUnavailable.
    """
    admin = AdminClient(client_config(settings))
    names = groups_of(admin, base)
    refuse_running(admin, names)
    topic = raw_topic(event_type)
    gaps, wanted, known = [], [], False
    for group in names:
        reading = {where: found for where, found in kept(admin, group).items() if where[0] == topic and found.moved_to is None}
        known = known or bool(reading)
        begins = _begins(admin, list(reading))
        for where, found in sorted(reading.items()):
            if found.offset < begins[where]:
                gaps.append(Gap(group, where[1], found.offset, begins[where]))
                wanted.append((group, where, found._replace(offset=begins[where])))
    if not known:
        raise UnknownEventType(f"no dedup worker of {base} has ever read {event_type}", event_type=event_type)
    if not dry:
        write_offsets(admin, wanted)
    return gaps


def _begins(admin: AdminClient, partitions: list[Where]) -> dict[Where, int]:
    if not partitions:
        return {}
    asked = {TopicPartition(*where): EARLIEST for where in partitions}
    try:
        answers = {(tp.topic, tp.partition): future.result() for tp, future in admin.list_offsets(asked, request_timeout=ADMIN_S).items()}
    except KafkaException as exc:
        raise translate(exc, "asking where the logs begin") from exc
    return {where: int(answer.offset) for where, answer in answers.items()}
