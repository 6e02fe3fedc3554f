"""A dedup worker on real servers: the ordinary day."""

from __future__ import annotations

import pytest

from tests.streams.stage import Stage, assert_balanced, assert_exact, new_ids

pytestmark = pytest.mark.real


def test_copies_are_removed_within_a_poll_across_polls_and_partitions(stage: Stage) -> None:
    thing = stage.declare(partitions=2)
    ids = new_ids(5_000)
    stage.send(thing, [*ids, *ids[:500]])
    stage.flush()
    worker = stage.worker()
    stage.wait_clean(thing, 5_000)
    stage.send(thing, ids[100:1_000])
    stage.send(thing, ids[:300], partition=0)
    stage.send(thing, ids[:300], partition=1)
    more = new_ids(1_000)
    stage.send(thing, more)
    stage.flush()
    stage.wait_clean(thing, 6_000)
    parts = stage.wait_closed(thing)
    assert_exact(parts, [*ids, *more])
    assert_balanced(parts)
    duplicates = sum(tally.duplicates for part in parts for barrier in part.barriers() for tally in barrier.tallies.values())
    assert duplicates == 500 + 900 + 600
    assert worker.terminate() == 0
