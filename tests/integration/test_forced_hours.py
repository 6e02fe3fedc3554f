"""An hour sealed by force on real Kafka: a partition stops, its hours are forced under running workers, and it goes on."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from hourmark.hours import Hours
from sinks.force import Order, force
from sinks.fsck import Range, prove
from tests.integration.test_sinks_hours import fill, ids
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, wire_schema
from tests.sinks.stage import Stage, store_of

pytestmark = pytest.mark.real


def test_a_partition_stopped_forced_and_going_on(kafka: str, tmp_path: Path) -> None:
    stage = Stage(kafka, tmp_path, partitions=2)
    schema = wire_schema(stage.type, 1, PAYLOAD)
    entries, busy, slow = (schema, declared(stage.type, schema, 2)), Feed(0), Feed(1)
    with stage.worker(*entries, buffer_bytes=1 << 20, part_bytes=1 << 20):
        for hour in range(HOUR, HOUR + 4):
            fill(busy, schema, hour, range((hour - HOUR) * 1000, (hour - HOUR) * 1000 + 1000))
            busy.barrier(hour)
        fill(slow, schema, HOUR, range(10_000, 22_000))  # more than the buffer holds: some of it is written before the force
        stage.send(0, busy.out)
        stage.send(1, slow.out)
        wait = time.monotonic() + 60
        while not list((stage.lake / "meta/parts").rglob("p00001/*.parquet")) and time.monotonic() < wait:
            time.sleep(0.1)
        for hour in (HOUR, HOUR + 1):
            plan = force(store_of(stage), Order(stage.type, hour, "ann@ops", "broker lost", 2), Hours(), time.time)
            assert plan.forced is not None
            stage.wait_sealed(hour)
        sent = len(slow.out)
        fill(slow, schema, HOUR, range(22_000, 22_500))  # going on
        for hour in range(HOUR, HOUR + 4):
            slow.barrier(hour)
        stage.send(1, slow.out[sent:])
        stage.wait_sealed(HOUR + 2, HOUR + 3)
    found: Counter[str] = sum((stage.ids(hour) for hour in range(HOUR, HOUR + 4)), Counter())
    assert set(found) == ids(range(4000), range(10_000, 22_500))
    assert set(found.values()) == {1}
    manifests = [stage.manifest(hour) for hour in range(HOUR, HOUR + 4)]
    assert [there.complete for there in manifests] == [False, False, True, True], manifests[2].audit
    assert sum(there.totals.consumed for there in manifests) == 4000 + 12_500
    late = stage.table(HOUR + 2).column("_skewed").to_pylist().count(True)
    assert late == manifests[2].totals.skewed >= 500
    assert prove(store_of(stage), stage.type, Range(clock=Hours()), lambda _what: None) == []
