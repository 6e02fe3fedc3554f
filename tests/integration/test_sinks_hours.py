"""Sink workers on real Kafka: what a user finds in the lake after ordinary and odd hours."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from hourmark.errors import OffsetLost
from hourmark.hours import label
from hourmark.rejects import read_reject
from hourmark.schemas import WireSchema, entry_key
from hourmark.topics import REJECTED, SEALED_HOURS
from sinks.catalogue import FixedCatalogue
from sinks.fsck import fsck
from sinks.manifest import SealedHour, decode, digest
from sinks.worker import Seams, SinkWorker
from tests.sinks.fakes import HOUR, PAYLOAD, Clean, Feed, declared, event_id, snapshot_of, value_of, wire_schema
from tests.sinks.stage import Stage, eventually, store_of

pytestmark = pytest.mark.real


def fill(feed: Feed, schema: WireSchema, hour: int, numbers: range) -> None:
    for number in numbers:
        feed.record(value_of(schema, number, {"user": f"u{number % 7}", "ms": number}), hour)


def ids(*ranges: range) -> set[str]:
    return {str(uuid.UUID(bytes=event_id(number))) for numbers in ranges for number in numbers}


def test_hours_are_sealed_in_order_empty_ones_too(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    feeds = [Feed(0), Feed(1)]
    with stage.worker(schema, declared(stage.type, schema, 2)) as worker:
        for feed in feeds:
            base = feed.partition * 5000
            fill(feed, schema, HOUR, range(base, base + 2000))
            fill(feed, schema, HOUR + 1, range(base + 2000, base + 2050))
            feed.barrier(HOUR)
            stage.send(feed.partition, feed.out)
        stage.wait_sealed(HOUR)
        assert set(stage.ids(HOUR)) == ids(range(2000), range(5000, 7000))
        assert set(stage.ids(HOUR).values()) == {1}
        assert not stage.folder(HOUR + 1).exists()
        for feed in feeds:  # two hours closed by one barrier, the second one empty
            stage.send(feed.partition, [feed.barrier(HOUR + 2)])
        stage.wait_sealed(HOUR + 1, HOUR + 2)
        assert worker.ready() is None
    violations = REGISTRY.get_sample_value("hourmark_sink_invariant_violations_total", {"event_type": stage.type})
    assert violations == 0, "not shown: an alarm would not see it rise"
    assert [stage.manifest(HOUR + n).totals.rows for n in range(3)] == [4000, 100, 0]
    assert stage.table(HOUR + 2).schema == stage.table(HOUR).schema
    assert all(stage.manifest(HOUR + n).complete for n in range(3))
    assert not stage.folder(HOUR - 1).exists()
    assert fsck(store_of(stage)) == []
    keys = {f"{stage.type}/{label(HOUR + n)}".encode(): HOUR + n for n in range(3)}
    said = {m.key(): m.value() for m in stage.read(SEALED_HOURS, lambda found: keys.keys() <= {m.key() for m in found})}
    for key, hour in keys.items():
        assert decode(SealedHour, said[key]).manifest_sha256 == digest(stage.files(hour)["_manifest.json"])


def test_poison_and_foreign_records_cost_no_other_event(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path)
    schema, other = wire_schema(stage.type, 1, PAYLOAD), wire_schema("t.other", 99, PAYLOAD)
    good = [value_of(schema, n, {"user": "u", "ms": n}) for n in range(100)]
    bad = {30: good[30] + b"\0", 50: good[50][:-1], 70: b"\0\0\0\0\x63" + good[70][5:], 80: b"junk", 90: good[90][:60]}
    feed = Feed()
    for number, value in enumerate(good):
        feed.record(bad.get(number, value), HOUR)
    feed.barrier(HOUR)
    feed.out.insert(40, Clean(b"who are you", []))
    feed.out.insert(60, Clean(None, []))
    with stage.worker(schema, other, declared(stage.type, schema)):
        stage.send(0, feed.out)
        stage.wait_sealed(HOUR)
    found = stage.manifest(HOUR)
    assert (found.complete, found.totals.rows, found.totals.poisoned, found.totals.consumed) == (True, 95, 5, 100)
    assert set(stage.ids(HOUR)) == ids(range(100)) - {str(uuid.UUID(bytes=event_id(n))) for n in bad}

    def mine(messages: list[object]) -> list[object]:
        return [m for m in messages if (reject := read_reject(m.headers())) is not None and reject.event_type == stage.type]  # type: ignore[attr-defined]

    refused = mine(stage.read(REJECTED, lambda messages: len(mine(messages)) >= 7))
    by_code: dict[str, set[tuple[int, bytes]]] = {}
    for message in refused:
        reject = read_reject(message.headers())  # type: ignore[attr-defined]
        assert reject is not None
        by_code.setdefault(reject.code, set()).add((reject.offset, message.value() or b""))  # type: ignore[attr-defined]
    assert by_code["schema_mismatch"] == {(number + 1, value) for number, value in bad.items()}
    assert by_code["foreign_record"] == {(40, b"who are you"), (60, b"")}


def test_two_schema_versions_interleaved_and_a_type_declared_while_running(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    newer = wire_schema(stage.type, 2, [*PAYLOAD, {"name": "extra", "type": ["null", "string"], "default": None}], version=2)
    catalogue, feed = FixedCatalogue(snapshot_of()), Feed()
    for number in range(1000):
        if number % 2:
            feed.record(value_of(newer, number, {"user": "u", "ms": number, "extra": "x"}), HOUR)
        else:
            feed.record(value_of(schema, number, {"user": "u", "ms": number}), HOUR)
    feed.barrier(HOUR)
    with stage.worker(seams=Seams(catalogue=catalogue)):
        stage.send(0, feed.out)
        catalogue.offer([(entry_key(e), e) for e in (schema, declared(stage.type, schema))])
        eventually(lambda: (stage.lake / "meta").exists(), "the lake")
        catalogue.offer([(entry_key(e), e) for e in (newer, declared(stage.type, newer))])
        stage.wait_sealed(HOUR)
    table = stage.table(HOUR)
    assert (table.num_rows, table.column("extra").null_count, len(stage.manifest(HOUR).files)) == (1000, 500, 1)


def test_repeats_and_skewed_events(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path)
    schema, feed = wire_schema(stage.type, 1, PAYLOAD), Feed()
    fill(feed, schema, HOUR, range(1000))
    feed.barrier(HOUR)
    for number in range(1000, 1010):
        feed.record(value_of(schema, number, {"user": "u", "ms": number}), HOUR + 1, skewed=True)
    feed.barrier(HOUR + 1)
    crashed = [*feed.out[:900], *feed.out[400:1004], *feed.out[200:]]
    with stage.worker(schema, declared(stage.type, schema)):
        stage.send(0, crashed)
        stage.wait_sealed(HOUR, HOUR + 1)
    assert set(stage.ids(HOUR)) == ids(range(1000))
    assert stage.manifest(HOUR).totals.rows == 1000
    assert (stage.manifest(HOUR + 1).totals.rows, stage.manifest(HOUR + 1).totals.skewed) == (10, 10)
    assert all(stage.manifest(HOUR + n).complete for n in range(2))


def test_small_buffers_write_many_parts_and_the_same_hour(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path)
    schema, feed = wire_schema(stage.type, 1, PAYLOAD), Feed()
    fill(feed, schema, HOUR, range(40_000))
    feed.barrier(HOUR)
    stage.send(0, feed.out)
    with stage.worker(schema, declared(stage.type, schema), buffer_bytes=1 << 20, part_bytes=1 << 20):
        stage.wait_sealed(HOUR)
    assert len(list((stage.lake / "meta/parts").rglob("*.parquet"))) > 2
    assert set(stage.ids(HOUR)) == ids(range(40_000))
    assert stage.manifest(HOUR).totals.rows == 40_000


def test_a_truncated_log_stops_the_worker(kafka: str, tmp_path: Path) -> None:
    """Records that no commit entry covers are gone: never skip them silently."""
    stage = Stage(kafka, tmp_path)
    schema, feed = wire_schema(stage.type, 1, PAYLOAD), Feed()
    fill(feed, schema, HOUR, range(100))
    stage.send(0, feed.out)
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_records([TopicPartition(stage.topic, 0, 50)]).values():
        future.result()
    worker = SinkWorker(stage.settings(), Seams(catalogue=FixedCatalogue(snapshot_of(schema, declared(stage.type, schema)))))
    with pytest.raises(OffsetLost):
        worker.run(threading.Event())
    assert not (stage.lake / "meta/commits").exists()
