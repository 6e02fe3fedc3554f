"""Lag by event type on a dedup worker's page, and that it leaves the page with the type's partitions."""

from __future__ import annotations

import uuid

from faust.types import TP
from prometheus_client import REGISTRY

from hourmark.lag import LagBook
from hourmark.schemas import EventType
from streams.lag import Lag


def shown(name: str) -> tuple[float | None, float | None]:
    labels = {"event_type": name}
    records = REGISTRY.get_sample_value("hourmark_dedup_lag_records", labels)
    return records, REGISTRY.get_sample_value("hourmark_dedup_lag_seconds", labels)


def test_records_add_up_and_the_oldest_counts() -> None:
    name = f"t{uuid.uuid4().hex[:8]}.thing"
    topic = f"raw.{name}"
    types = {topic: EventType(revision=1, event=name, owner="o", schema_id=1, partitions=2)}
    book, one, two = LagBook(), TP(topic, 0), TP(topic, 1)
    lag = Lag(book, now=lambda: 1000.0)
    book.read(one, 990_000)
    book.read(two, 900_000)
    lag.show({one: 5, two: 7}, {one: 8, two: 9, TP("raw.not_ours", 0): 50}, types)
    assert shown(name) == (5, 100)
    lag.show({one: 8, two: 9}, {one: 8, two: 9}, types)
    assert shown(name) == (0, 0)
    lag.show({}, {}, types)
    assert shown(name) == (None, None)
