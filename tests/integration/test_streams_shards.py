"""Shards of event types: each group reads its own, and a change of their number is refused until what is known has moved along."""

from __future__ import annotations

import pytest

from hourmark.settings import PlatformSettings
from streams.reshard import WorkersRun, reshard
from streams.shards import shard_of
from tests.streams.stage import Stage, assert_balanced, assert_exact, new_ids

pytestmark = pytest.mark.real


def test_types_move_to_another_number_of_shards_with_all_that_is_known_of_them(stage: Stage) -> None:
    names = [f"thing{number}" for number in range(20)]
    of_shard = {shard: next(name for name in names if shard_of(f"{stage.prefix}.{name}", 2) == shard) for shard in (0, 1)}
    things = {shard: stage.declare(name, partitions=2) for shard, name in of_shard.items()}
    ids = {shard: new_ids(500) for shard in things}
    settings, base = PlatformSettings(kafka=stage.kafka), f"dedup-{stage.prefix}"

    def send(events: dict[int, list[bytes]]) -> None:
        for shard, sent in events.items():
            stage.send(things[shard], sent)
        stage.flush()

    def workers(*shards: tuple[int, int], closed: bool = False) -> None:
        """Run these (shard, of how many) until everything sent so far is on clean, then stop them."""
        running = [stage.worker(HOURMARK_STREAMS_SHARD=str(shard), HOURMARK_STREAMS_SHARDS=str(of)) for shard, of in shards]
        for shard, thing in things.items():
            stage.wait_clean(thing, len(ids[shard]))
            if closed:
                stage.wait_closed(thing)
        with pytest.raises(WorkersRun, match="stop all of them"):
            reshard(settings, base, 3)
        assert [worker.terminate() for worker in running] == [0] * len(running)

    send(ids)
    workers((0, 1))

    early = stage.worker(HOURMARK_STREAMS_SHARD="1", HOURMARK_STREAMS_SHARDS="2")
    assert early.wait(60) == 70
    assert f"{base}-0 knows how far it has been read" in early.said()
    assert "hourmark dedup reshard" in early.said()

    assert reshard(settings, base, 2, dry=True).types_moved == 1
    done = reshard(settings, base, 2)
    assert (done.types_moved, done.moved, done.groups) == (1, 2, {f"{base}-0": 2, f"{base}-1": 2})
    assert reshard(settings, base, 2).moved == 0

    late = stage.worker(HOURMARK_STREAMS_SHARD="0", HOURMARK_STREAMS_SHARDS="1")
    assert late.wait(60) == 70
    assert f"{base}-1 knows how far it has been read" in late.said()

    more = {shard: new_ids(300) for shard in things}
    send({shard: [*ids[shard][:100], *more[shard]] for shard in things})
    ids = {shard: [*ids[shard], *more[shard]] for shard in things}
    workers((0, 2), (1, 2))

    assert reshard(settings, base, 1).groups == {f"{base}-0": 4}
    last = {shard: new_ids(300) for shard in things}
    send({shard: [*ids[shard][:100], *last[shard]] for shard in things})
    ids = {shard: [*ids[shard], *last[shard]] for shard in things}
    workers((0, 1), closed=True)
    for shard, thing in things.items():
        parts = stage.clean(thing)
        assert_exact(parts, ids[shard])
        assert_balanced(parts)
        barriers = sum(len(part.barriers()) for part in parts)
        assert sum(len(part.records) for part in parts) == len(ids[shard]) + barriers, "something was read again"
