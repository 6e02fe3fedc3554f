"""What Kafka and the workers' metrics say of each partition's way through the platform: who owns it, and how much waits before it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.kafka import client_config, partition_counts, translate
from hourmark.topics import clean_topic, raw_topic
from sinks.blocking import Flow

from .addresses import Addresses, home

LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library forgot its annotation
DEDUP, SINK = "hourmark-dedup-", "hourmark-sink"  # each shard's workers are one group of this prefix
HELD = "hourmark_sink_held_partitions"
PAGE_TIMEOUT_S = 2.0
LEADERLESS = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
}

Place = tuple[str, int]


class Groups(NamedTuple):
    """All groups of one kind of worker. `owned` None: there are none of that name, so nothing is known."""

    committed: Mapping[Place, int]
    owned: frozenset[Place] | None


class Offsets(NamedTuple):
    """`ends`: of every raw and clean partition of some event types; who reads them, and how far. `mute`: those that no broker leads now."""

    ends: Mapping[Place, int]
    dedup: Groups
    sink: Groups
    mute: frozenset[Place] = frozenset()


def flows(at: Addresses, event_types: Iterable[str]) -> dict[str, dict[int, Flow]]:
    """Of every partition of these types. Raises BrokerUnavailable."""
    names = list(event_types)
    return flows_of(offsets(at, names), names)


def offsets(at: Addresses, event_types: Iterable[str]) -> Offsets:
    """A handful of requests, however many types there are. Raises BrokerUnavailable."""
    admin = AdminClient(client_config(at.settings()))
    try:
        ends, mute = _ends(admin, [topic for name in event_types for topic in (raw_topic(name), clean_topic(name))])
        known = [group.group_id for group in admin.list_consumer_groups().result().valid]
        dedup, sink = _groups(admin, [g for g in known if g.startswith(DEDUP)]), _groups(admin, [g for g in known if g.startswith(SINK)])
    except KafkaException as exc:
        raise translate(exc, "asking who reads what") from exc
    return Offsets(ends, dedup, sink, mute)


def flows_of(known: Offsets, event_types: Iterable[str]) -> dict[str, dict[int, Flow]]:
    """The same by partition, as what blocks an hour is told from it."""
    ends, dedup, sink, mute = known
    widths = Counter(topic for topic, _ in (*ends, *mute))
    found: dict[str, dict[int, Flow]] = {name: {} for name in event_types}
    for name in found:
        raw, clean = raw_topic(name), clean_topic(name)
        for number in range(widths[clean]):
            behind = ends.get((raw, number), 0) - dedup.committed.get((raw, number), 0)
            found[name][number] = Flow(
                end=ends.get((clean, number)),
                owned=None if sink.owned is None else (clean, number) in sink.owned,
                dedup_owned=None if dedup.owned is None else (raw, number) in dedup.owned,
                dedup_lag=max(behind, 0),
            )
    return found


def _ends(admin: AdminClient, topics: list[str]) -> tuple[dict[Place, int], frozenset[Place]]:
    """And the partitions that have no leader. Raises KafkaException when nobody answers for any."""
    places = [TopicPartition(topic, number) for topic, count in partition_counts(admin, topics).items() for number in range(count)]
    ends: dict[Place, int] = {}
    mute: list[Place] = []
    for place, future in (admin.list_offsets(dict.fromkeys(places, LATEST)) if places else {}).items():
        try:
            ends[place.topic, place.partition] = future.result().offset
        except KafkaException as exc:
            if exc.args[0].code() not in LEADERLESS:
                raise
            mute.append((place.topic, place.partition))
    return ends, frozenset(mute)


def _groups(admin: AdminClient, names: list[str]) -> Groups:
    committed: dict[Place, int] = {}
    owned: set[Place] = set()
    for name in names:
        offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result()
        committed |= {(p.topic, p.partition): max(p.offset, 0) for p in offsets.topic_partitions or ()}
    if names:
        for future in admin.describe_consumer_groups(names).values():
            for member in future.result().members:
                owned |= {(p.topic, p.partition) for p in (member.assignment.topic_partitions if member.assignment else ())}
    return Groups(committed, frozenset(owned) if names else None)


def held(pages: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Event type → codes for which a sink worker holds partitions of it, by the workers' metrics. A page that is silent says nothing."""
    import urllib.request

    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, set[str]] = defaultdict(set)
    for page in pages:
        try:
            with urllib.request.urlopen(page, timeout=PAGE_TIMEOUT_S) as answer:
                text = answer.read().decode()
        except (OSError, ValueError):
            continue
        for family in text_string_to_metric_families(text):
            if family.name == HELD:
                for sample in family.samples:
                    if sample.value > 0:
                        found[sample.labels["event_type"]].add(sample.labels["reason"])
    return {name: tuple(sorted(codes)) for name, codes in found.items()}


def sink_pages() -> list[str]:
    """Where the native stack's sink workers show their metrics; none on a fleet, whose metrics are collected elsewhere."""
    from local import remembered

    memory = remembered.read(home())
    ports = memory.ports if memory is not None else {}
    return [f"http://127.0.0.1:{port}/metrics" for name, port in sorted(ports.items()) if name.startswith("metrics-sinks") and port]
