"""The same log gives the same hours: offsets of all groups forgotten, the lake deleted, flushes cut elsewhere, workers restarted."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaException

from hourmark.hours import Hours, parse_folder, parse_label
from hourmark.schemas import EventType
from hourmark.topics import Partition
from sinks import layout
from sinks.catalogue import FixedCatalogue
from sinks.commits import CommitChain
from sinks.disk import DiskStore
from sinks.fsck import Range, prove
from sinks.settings import Settings
from sinks.watermarks import sealed_hours, watermark
from sinks.worker import Seams, SinkWorker
from tests.sinks.fakes import PAYLOAD, event_id, snapshot_of, value_of, wire_schema
from tests.sinks.stage import eventually
from tests.streams.stage import ANCHOR, HOUR_S, Stage

pytestmark = pytest.mark.real
MIB = 1 << 20
Lake = dict[str, bytes]


class Sink:
    """Sink workers on one lake, one after the other, all of the same group."""

    def __init__(self, stage: Stage, found: EventType) -> None:
        self.type, self.group, self._stage = found.event, f"hourmark-sink-{stage.prefix}", stage
        self.lake = stage.home / "lake"
        self._catalogue = FixedCatalogue(snapshot_of(wire_schema(found.event, 1, PAYLOAD), found))

    @contextlib.contextmanager
    def worker(self, **extra: Any) -> Iterator[DiskStore]:
        settings = Settings(
            kafka=self._stage.kafka,
            lake_url=self.lake.as_uri(),
            home=self._stage.home,
            group=self.group,
            session_timeout_ms=3000,
            profile="local",
            hour_seconds=HOUR_S,
            hour_anchor=ANCHOR,
            **extra,
        )
        worker, stop, died = SinkWorker(settings, Seams(catalogue=self._catalogue)), threading.Event(), list[Exception]()

        def work() -> None:
            try:
                worker.run(stop)
            except Exception as exc:
                died.append(exc)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield DiskStore(self.lake)
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive()
        assert not died, died

    def caught_up(self, store: DiskStore, at_least: int = 0) -> bool:
        """Every hour that all partitions have closed is presented, and the newest is not before this one."""
        closed = [CommitChain(store).tip(Partition(self.type, number)).closed for number in range(2)]
        newest = watermark(store, self.type)
        return newest is not None and None not in closed and newest == min(hour for hour in closed if hour is not None) >= at_least

    def files(self) -> Lake:
        root = self.lake / layout.EVENTS
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def cut(self) -> tuple[str, ...]:
        """Where the chains are cut into parts."""
        return tuple(path.name[:41] for path in sorted((self.lake / layout.PARTS).rglob("*.parquet")))

    def rows(self) -> int:
        manifests = (json.loads(data) for name, data in self.files().items() if name.endswith(layout.MANIFEST))
        return sum(manifest["totals"]["rows"] for manifest in manifests)


def but_for_the_clock(files: Lake) -> dict[str, Any]:
    """Manifests without what no log can know: when and by whom they were sealed."""
    return {
        name: {key: value for key, value in json.loads(data).items() if key not in ("sealed_at", "writer")}
        if name.endswith(layout.MANIFEST)
        else data
        for name, data in files.items()
    }


def send(stage: Stage, found: EventType, numbers: range) -> None:
    schema = wire_schema(found.event, 1, PAYLOAD)
    for number in numbers:
        value = value_of(schema, number, {"user": f"user-{number % 97:04d}-" + "x" * 500, "ms": number}, time_us=(number * 7919) % 10**6)
        assert value[5:21] == event_id(number)
        for copy in range(2 if number % 10 == 0 else 1):  # every tenth comes twice, the second time on the other partition
            stage.send_bytes(found, value, (number + copy) % 2)
        stage.producer.poll(0)
    stage.flush()


def forget_offsets(stage: Stage, sink: Sink) -> None:
    """As if both groups had never read anything."""
    names = [group.group_id for group in stage.admin.list_consumer_groups().result().valid if stage.prefix in group.group_id]
    assert sink.group in names
    assert len(names) == 2

    def gone() -> bool:
        try:
            for future in stage.admin.delete_consumer_groups(names).values():
                future.result()
        except KafkaException:
            return not any(group.group_id in names for group in stage.admin.list_consumer_groups().result().valid)
        return True

    eventually(gone, "the groups to be gone")


def newest_known(sink: Sink) -> int:
    return max(parse_folder("/".join(name.split("/")[1:3])) for name in sink.files())


def test_offsets_forgotten_and_lakes_deleted_give_the_same_hours(stage: Stage) -> None:
    thing = stage.declare(partitions=2)
    sink, count = Sink(stage, thing), 16_000
    dedup = stage.worker()
    with sink.worker() as store:
        for start in range(0, count, count // 4):
            send(stage, thing, range(start, start + count // 4))
            time.sleep(HOUR_S / 2)  # so that there are several hours; nothing depends on how many
        eventually(lambda: sealed_hours(store, sink.type) and sink.rows() == count, "all events to be in sealed hours")
        assert dedup.terminate() == 0
        eventually(lambda: sink.caught_up(store), "the last closed hour to be sealed")
    first = sink.files()
    assert sum(name.endswith(layout.SUCCESS) for name in first) >= 2

    forget_offsets(stage, sink)
    after = newest_known(sink) + 1
    dedup = stage.worker()
    with sink.worker() as store:
        # The hours after were closed behind everything that dedup has emitted again.
        eventually(lambda: sink.caught_up(store, after), "an hour after the replay to be sealed")
        assert dedup.terminate() == 0
        eventually(lambda: sink.caught_up(store, after), "the last closed hour to be sealed")
    second = sink.files()
    assert {name: data for name, data in second.items() if name in first} == first
    assert sink.rows() == count
    assert sum(len(part.records) for part in stage.clean(thing)) > 2 * count, "dedup should have emitted everything again"
    clock = Hours(HOUR_S, parse_label(ANCHOR))
    assert prove(DiskStore(sink.lake), sink.type, Range(clock=clock), lambda _what: None) == []

    newest, cuts = newest_known(sink), [sink.cut()]
    for cut in ({"buffer_bytes": MIB, "part_bytes": MIB}, {"part_bytes": 16 * MIB, "decoder": "row"}):
        shutil.rmtree(sink.lake)
        with sink.worker(**cut) as store:  # killed in the middle, as far as a thread can be: whatever it holds is dropped
            eventually(lambda store=store: store.folders(layout.COMMITS), "the first commit entry")
        with sink.worker(**cut) as store:
            eventually(lambda store=store: sink.caught_up(store, newest), "the replay to be sealed")
        assert but_for_the_clock(sink.files()) == but_for_the_clock(second)
        cuts.append(sink.cut())
        assert prove(DiskStore(sink.lake), sink.type, Range(clock=clock), lambda _what: None) == []
    assert len(set(cuts)) == len(cuts), "the log should have been cut elsewhere each time"
