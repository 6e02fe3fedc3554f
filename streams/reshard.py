"""Moves the progress of event types to the groups of other shards, while no dedup worker runs: offsets with the states behind them.

`python -m streams.reshard` brings everything to HOURMARK_STREAMS_SHARDS; a platform that never had another number has nothing to move.
First everything is copied, then what lies elsewhere is marked as moved, so that no worker goes on from there. Safe to stop and to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

import structlog
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.errors import Unavailable
from hourmark.kafka import client_config, translate
from hourmark.runtime import run
from hourmark.settings import PlatformSettings
from hourmark.topics import event_type_of

from .groups import ADMIN_S, MOVED, Kept, Where, groups_of, kept, owners
from .settings import Settings, load_settings
from .shards import group_of, shard_of

log = structlog.get_logger()

SESSIONS_S = 60.0  # how long workers that were killed may count as running
CHUNK = 2_000  # partitions per request: an OffsetCommit holds a state for each


class WorkersRun(Unavailable):
    """Progress cannot be moved under the hands of those who make it."""

    code = "workers_run"


class Move(NamedTuple):
    """One partition's progress on its way from a group to another."""

    where: Where
    origin: str
    target: str
    progress: Kept


class Resharded(NamedTuple):
    """`groups`: partitions by the group that goes on with them; `moved`: partitions whose group changed."""

    groups: dict[str, int]
    moved: int
    types_moved: int


def reshard(settings: PlatformSettings, base: str, shards: int, *, dry: bool = False) -> Resharded:
    """Bring every raw partition's progress into the group of its shard, of so many. `dry`: only say what would move.

    Raises WorkersRun, BrokerUnavailable.
    """
    admin = AdminClient(client_config(settings))
    names = groups_of(admin, base)
    refuse_running(admin, names)
    found = {group: kept(admin, group) for group in names}
    targets = {where: group_of(base, shard_of(event_type_of(where[0]), shards)) for group in found.values() for where in group}
    copies, marks = moves(found, targets), stale(found, targets)
    if not dry:
        write_offsets(admin, [(move.target, move.where, move.progress) for move in copies])
        write_offsets(admin, [(move.origin, move.where, move.progress) for move in marks])
    counts = {group_of(base, shard): 0 for shard in range(shards)}
    for target in targets.values():
        counts[target] += 1
    return Resharded(counts, len(copies), len({move.where[0] for move in copies}))


def moves(found: Mapping[str, Mapping[Where, Kept]], targets: Mapping[Where, str]) -> list[Move]:
    """What must be copied so that every partition's progress lies in its target group."""
    return [
        Move(where, origin, targets[where], found[origin][where])
        for where, origin in sorted(owners(found).items())
        if origin != targets[where]
    ]


def stale(found: Mapping[str, Mapping[Where, Kept]], targets: Mapping[Where, str]) -> list[Move]:
    """What must be marked as moved once all is copied: progress outside of its target group that does not say so yet."""
    return [
        Move(where, group, targets[where], progress._replace(metadata=MOVED + targets[where]))
        for group, partitions in sorted(found.items())
        for where, progress in sorted(partitions.items())
        if group != targets[where] and progress.metadata != MOVED + targets[where]
    ]


def refuse_running(admin: AdminClient, groups: list[str]) -> None:
    """Raises WorkersRun when any of these groups has members, or may still have some; BrokerUnavailable."""
    if not groups:
        return
    idle = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    for name, future in admin.describe_consumer_groups(groups, request_timeout=ADMIN_S).items():
        try:
            group = future.result()
        except KafkaException as exc:
            raise translate(exc, f"looking at the group {name}") from exc
        if group.state not in idle:
            who = f"{len(group.members)} dedup workers" if group.members else "dedup workers"
            raise WorkersRun(f"{who} of {name} still run, or ended less than a session ago: stop all of them, then try again")


def write_offsets(admin: AdminClient, wanted: Iterable[tuple[str, Where, Kept]]) -> None:
    """Write offsets with their metadata, group by group. Raises BrokerUnavailable; a part may then be written."""
    for group, rows in groupby(sorted(wanted), key=lambda row: row[0]):
        partitions = [TopicPartition(*where, progress.offset, progress.metadata) for _, where, progress in rows]
        for start in range(0, len(partitions), CHUNK):
            request = ConsumerGroupTopicPartitions(group, partitions[start : start + CHUNK])
            try:
                answer = admin.alter_consumer_group_offsets([request], request_timeout=ADMIN_S)[group].result()
            except KafkaException as exc:
                raise translate(exc, f"writing the offsets of {group}") from exc
            for partition in answer.topic_partitions or ():
                if partition.error is not None:
                    raise translate(partition.error, f"writing {group}'s offset of {partition.topic}[{partition.partition}]")


def main(settings: Settings) -> None:
    """Bring everything to the number of shards in the settings. Raises WorkersRun when workers are there for longer than a session."""
    deadline, told = time.monotonic() + SESSIONS_S, False
    while True:
        try:
            done = reshard(settings, settings.app_id, settings.shards)
        except WorkersRun as exc:
            if time.monotonic() > deadline:
                raise
            if not told:
                log.warning("waiting for dedup workers to be gone", error=exc.message)
                told = True
            time.sleep(0.5)
        else:
            log.info("resharded", shards=settings.shards, partitions=done.groups, moved=done.moved, types_moved=done.types_moved)
            return


if __name__ == "__main__":
    run("streams", load_settings, main)
