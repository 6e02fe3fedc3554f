"""What a worker reads: nothing yet, a new type under load, and what is no event."""

from __future__ import annotations

import time

import msgspec
import pytest

from hourmark.event import frame
from hourmark.nodes import NodeReport
from hourmark.rejects import read_reject
from hourmark.topics import NODES, PLATFORM_PARTITIONS, REJECTED, raw_topic
from tests.streams.load import Load
from tests.streams.stage import CleanBarrier, Stage, assert_balanced, assert_exact, new_ids

pytestmark = pytest.mark.real


def test_a_worker_without_types_idles_and_takes_the_first_one(stage: Stage) -> None:
    worker = stage.worker()
    stage.until(lambda: "new platform" in worker.said(), 30, "the worker is up")
    time.sleep(1)
    assert worker.running()
    thing = stage.declare()
    ids = new_ids(100)
    stage.send(thing, ids)
    stage.flush()
    assert_exact(stage.wait_clean(thing, 100), ids)
    assert worker.terminate() == 0


def test_a_new_type_flows_while_others_do(stage: Stage) -> None:
    old = stage.declare("old", partitions=2)
    workers = [stage.worker(), stage.worker()]
    load = Load(stage, old)
    stage.wait_clean(old, 3_000)
    started = time.monotonic()
    new = stage.declare("new", partitions=3)
    ids = new_ids(500)
    stage.send(new, ids)
    stage.flush()
    parts = stage.wait_clean(new, 500)
    print(f"new type flowed after {time.monotonic() - started:.1f} s")
    assert_exact(parts, ids)
    load.stop()
    load.check()
    assert [worker.terminate() for worker in workers] == [0, 0]


def test_a_worker_without_a_partition_follows_the_catalogue_too(stage: Stage) -> None:
    """Else whoever waits for a declaration to be everywhere waits for ever."""
    thing = stage.declare(partitions=1)
    names = [f"{stage.prefix}-{number}" for number in range(2)]
    workers = [stage.worker(HOURMARK_NODE=name) for name in names]

    def applied(revision: int) -> bool:
        said = [(key, value) for key, value, _ in stage.read(NODES, 0) if key is not None and key.decode() in names]
        reports = {key: msgspec.json.decode(value, type=NodeReport) for key, value in said if value is not None}
        return len(reports) == 2 and all(report.revision >= revision for report in reports.values())

    stage.until(lambda: applied(thing.revision), 60, "both workers work by the declaration")
    changed = msgspec.structs.replace(thing, revision=thing.revision + 1, tier="critical")
    stage.announce(changed)
    stage.until(lambda: applied(changed.revision), 60, "both workers work by its change")
    assert [worker.terminate() for worker in workers] == [0, 0]


def test_a_type_is_read_once_its_topics_are_fit(stage: Stage) -> None:
    thing, hasty = stage.declare(), stage.declare("hasty", announce=False)
    missing = type(hasty)(revision=hasty.revision, event=f"{stage.prefix}.missing", owner="tests", schema_id=1, partitions=1)
    stage.announce(missing)
    worker = stage.worker()
    ids = new_ids(50)
    stage.send(thing, ids)
    stage.flush()
    assert_exact(stage.wait_clean(thing, 50), ids)
    assert "does not exist" in worker.said()
    stage.announce(hasty)
    stage.send(hasty, ids)
    stage.flush()
    assert_exact(stage.wait_clean(hasty, 50), ids)
    stage.types.append(missing)


def test_what_is_no_event_goes_to_rejected_with_its_bytes(stage: Stage) -> None:
    thing = stage.declare(partitions=1)
    ids = new_ids(10)
    bad: list[bytes | None] = [b"", b"{}", b"\x01" + frame(1)[1:] + bytes(30), frame(1) + bytes(10), None]
    stage.send(thing, ids[:5])
    for value in bad:
        stage.send_bytes(thing, value)
    stage.send(thing, ids[5:])
    stage.flush()
    stage.worker()
    stage.wait_clean(thing, 10)
    parts = stage.wait_closed(thing)
    assert_exact(parts, ids)
    assert_balanced(parts)
    tallies = [tally for barrier in parts[0].barriers() for tally in barrier.tallies.values()]
    assert sum(tally.rejected for tally in tallies) == len(bad)
    found = {}
    for partition in range(PLATFORM_PARTITIONS[REJECTED]):
        for _key, value, headers in stage.read(REJECTED, partition):
            reject = read_reject(headers)
            if reject is not None and reject.topic == raw_topic(thing.event):
                found[reject.offset] = (reject.code, value)
    assert [found[offset] for offset in sorted(found)] == [("invalid_envelope", value or b"") for value in bad]


def test_idle_partitions_are_closed_too_and_invalid_barriers_close_nothing(stage: Stage) -> None:
    thing = stage.declare(partitions=3)
    far = 10**7
    stage.barrier(thing, 0, far)
    stage.flush()
    stage.worker()

    def several() -> bool:
        return all(len(part.barriers()) >= 3 for part in stage.clean(thing))

    stage.until(several, 40, "three barriers in every idle partition")
    for part in stage.clean(thing):
        hours = [barrier.hour for barrier in part.barriers()]
        assert hours == sorted(set(hours))
        assert max(hours) < far
        assert all(isinstance(record, CleanBarrier) and record.balanced() for record in part.records)
    assert stage.clean(thing)[0].barriers()[0].barriers == 2, "the invalid one is counted"
