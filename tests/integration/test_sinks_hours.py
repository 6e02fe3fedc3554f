"""Sink workers on real Kafka: what a user finds in the lake after ordinary and odd hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from hourmark.hours import label
from hourmark.rejects import read_reject
from hourmark.topics import REJECTED, SEALED_HOURS
from sinks import layout
from tests.sinks.fakes import HOUR, PAYLOAD, Clean, Feed, declared, event_id, value_of, wire_schema
from tests.sinks.stage import Stage

pytestmark = pytest.mark.real


def fill(feed: Feed, schema: object, hour: int, numbers: range) -> None:
    for number in numbers:
        feed.record(value_of(schema, number, {"user": f"u{number % 7}", "ms": number}), hour)  # type: ignore[arg-type]


def ids(numbers: range) -> set[str]:
    import uuid

    return {str(uuid.UUID(bytes=event_id(number))) for number in numbers}


def test_hours_are_sealed_in_order_empty_ones_too(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    with stage.worker(schema, declared(stage.type, schema, 2)):
        feeds = [Feed(0), Feed(1)]
        for feed in feeds:
            fill(feed, schema, HOUR, range(feed.partition * 5000, feed.partition * 5000 + 2000))
            fill(feed, schema, HOUR + 1, range(feed.partition * 5000 + 2000, feed.partition * 5000 + 2050))
            feed.barrier(HOUR)
            stage.send(feed.partition, feed.out)
        stage.wait_sealed(HOUR)
        assert set(stage.ids(HOUR)) == ids(range(2000)) | ids(range(5000, 7000))
        assert set(stage.ids(HOUR).values()) == {1}
        assert not stage.folder(HOUR + 1).exists()
        for feed in feeds:  # two hours closed by one barrier, the second one empty
            sent = len(feed.out)
            feed.barrier(HOUR + 2)
            stage.send(feed.partition, feed.out[sent:])
        stage.wait_sealed(HOUR + 1, HOUR + 2)
    assert stage.manifest(HOUR + 1).totals.rows == 100
    assert stage.manifest(HOUR + 2).totals.rows == 0
    assert stage.table(HOUR + 2).schema == stage.table(HOUR).schema
    assert all(stage.manifest(HOUR + n).complete for n in range(3))
    assert not stage.folder(HOUR - 1).exists()
    keys = {f"{stage.type}/{label(HOUR + n)}".encode() for n in range(3)}
    said = stage.read(SEALED_HOURS, lambda found: keys <= {m.key() for m in found})
    assert keys <= {m.key() for m in said}


def test_poison_and_foreign_records_cost_no_other_event(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    good = [value_of(schema, n, {"user": "u", "ms": n}) for n in range(100)]
    feed = Feed()
    bad = {30: good[30] + b"\0", 50: good[50][:-1], 70: b"\0\0\0\0\x63" + good[70][5:], 80: b"junk", 90: good[90][:60]}
    for number, value in enumerate(good):
        feed.record(bad.get(number, value), HOUR)
    feed.barrier(HOUR)
    feed.out.insert(40, Clean(b"who are you", []))
    with stage.worker(schema, declared(stage.type, schema), schema_wait_s=0.0) as worker:
        worker._wire_registry = None  # type: ignore[attr-defined]
        stage.send(0, feed.out)
        # the registry is away, so schema 99 holds the partition: nothing is lost, nothing is sealed
        import time

        time.sleep(2)
        assert not stage.sealed(HOUR)
