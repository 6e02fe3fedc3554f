"""How far each event type is, for `status`: its watermark, its open hours, and the records its dedup workers have not read yet."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hourmark.hours import label
from hourmark.kafka import client_config, partition_counts, translate
from hourmark.topics import event_type_of, raw_topic
from sinks.store import Store
from sinks.watermarks import watermark

from .addresses import Addresses
from .catalogue import Catalogue
from .hour_rows import open_hours, store_of

if TYPE_CHECKING:
    from local.status import StackStatus

LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library forgot its annotation
GROUPS = "hourmark-dedup-"  # each shard's workers are one group of this prefix


def of_all(found: StackStatus) -> list[dict[str, Any]]:
    """`{type, watermark, open_hours, lag}` of every declared event type. `watermark`: the first hour that is not sealed, or None."""
    at = Addresses(
        registry=found.registry, kafka=found.kafka, lake=found.lake, hour_seconds=found.hour_seconds, hour_anchor=found.hour_anchor
    )
    names = sorted(Catalogue(at.registry).names())
    lags, store = lag(at, names), store_of(at) if Path(found.lake).is_dir() else None
    return [_one(store, at, name, lags.get(name, 0)) for name in names]


def _one(store: Store | None, at: Addresses, name: str, behind: int) -> dict[str, Any]:
    newest = watermark(store, name) if store is not None else None
    begun = len(open_hours(store, at, name)) if store is not None else 1
    return {"type": name, "watermark": None if newest is None else label(newest + 1), "open_hours": begun, "lag": behind}


def lag(at: Addresses, event_types: list[str]) -> dict[str, int]:
    """Records on each raw topic behind the committed offset of its dedup workers. Raises BrokerUnavailable."""
    admin = AdminClient(client_config(at.settings()))
    counts = partition_counts(admin, map(raw_topic, event_types))
    places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    if not places:
        return {}
    try:
        newest = {place: future.result().offset for place, future in admin.list_offsets(dict.fromkeys(places, LATEST)).items()}
        committed = _committed(admin)
    except KafkaException as exc:
        raise translate(exc, "reading the lag") from exc
    lags: dict[str, int] = defaultdict(int)
    for place, end in newest.items():
        lags[event_type_of(place.topic)] += max(0, end - committed.get((place.topic, place.partition), 0))
    return lags


def _committed(admin: AdminClient) -> dict[tuple[str, int], int]:
    groups = [group.group_id for group in admin.list_consumer_groups().result().valid if group.group_id.startswith(GROUPS)]
    found: dict[tuple[str, int], int] = {}
    for group in groups:
        offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        found |= {(p.topic, p.partition): max(p.offset, 0) for p in offsets.topic_partitions or ()}
    return found
