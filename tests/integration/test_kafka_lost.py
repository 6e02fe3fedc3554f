"""A clean log that is not the one the lake was written from: sinks refuse it however long it is, and a seam lets them go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from hourmark.errors import BrokerUnavailable, OffsetLost
from hourmark.hours import Hours
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import WireSchema
from hourmark.topics import Partition, event_topic_config
from local.kafka import KafkaServer
from sinks.catalogue import FixedCatalogue
from sinks.clean_log import CleanLogs
from sinks.commits import CommitChain, Tip
from sinks.fsck import Range, prove
from sinks.ids import Origins, coverage, read_ids, sealed_files
from sinks.manifest import CommitEntry
from sinks.seams import NoSeam, Sewn, sew
from sinks.worker import Seams, SinkWorker
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, snapshot_of, value_of, wire_schema
from tests.sinks.stage import Stage, eventually, store_of

pytestmark = pytest.mark.real
AFTER = range(1000, 1400)


class Loss:
    """A lake with one sealed hour and half of the next, and a clean topic that may be taken from it."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.schema = stage, wire_schema(stage.type, 1, PAYLOAD)
        self.entries = (self.schema, declared(stage.type, self.schema))
        feed = Feed()
        fill(feed, self.schema, HOUR, range(200))
        whole = len([*feed.out, feed.barrier(HOUR)])
        fill(feed, self.schema, HOUR + 1, range(200, 298))
        for number in (298, 299):  # the last one makes the hour large enough to be written
            feed.record(value_of(self.schema, number, {"user": "u" * 600_000, "ms": number}), HOUR + 1)
        with stage.worker(*self.entries, part_bytes=1 << 20):
            stage.send(0, feed.out[:whole])
            stage.wait_sealed(HOUR)
            stage.send(0, feed.out[whole:])
            eventually(lambda: self.tip().next == len(feed.out), "the half hour to be written")

    def tip(self) -> Tip:
        return CommitChain(store_of(self.stage)).tip(Partition(self.stage.type, 0))

    def lose_kafka(self) -> Feed:
        """The topic made anew; its raw log begins with a barrier, as the registry writes it."""
        admin = AdminClient({"bootstrap.servers": self.stage.kafka})
        admin.delete_topics([self.stage.topic])[self.stage.topic].result()
        spec = TopicSpec(self.stage.topic, 1, event_topic_config(3_600_000, 1))
        eventually(lambda: ensure_topics(admin, [spec]), "the topic to be made anew")
        eventually(self.has_topic, "the brokers to know it")
        return Feed(created_in=HOUR)

    def has_topic(self) -> bool:
        try:
            return bool(CleanLogs(self.stage.settings()).extents([Partition(self.stage.type, 0)]))
        except BrokerUnavailable:
            return False

    def refused(self) -> str:
        """Why a worker does not go on."""
        worker = SinkWorker(self.stage.settings(), Seams(catalogue=FixedCatalogue(snapshot_of(*self.entries))))
        with pytest.raises(OffsetLost) as said:
            worker.run(threading.Event())
        return said.value.message

    def sew(self, *, dry: bool = False) -> list[Sewn]:
        return sew(store_of(self.stage), CleanLogs(self.stage.settings()), self.stage.type, 1, "me: lost", dry=dry)


@pytest.fixture
def loss(kafka: str, tmp_path: Path) -> Loss:
    return Loss(Stage(kafka, tmp_path))


def fill(feed: Feed, schema: WireSchema, hour: int, numbers: range) -> None:
    for number in numbers:
        feed.record(value_of(schema, number, {"user": "u", "ms": number}), hour)


def test_another_log_is_refused_also_when_it_has_outgrown_the_lake(loss: Loss) -> None:
    """It would be read from the chain's end on, and what lies below that would be lost."""
    before = loss.tip()
    feed = loss.lose_kafka()
    assert "the log ends at 0" in loss.refused()
    fill(feed, loss.schema, HOUR + 1, AFTER)
    feed.barrier(HOUR + 1)
    loss.stage.send(0, feed.out)
    assert len(feed.out) > before.next
    assert "was appended at" in loss.refused()
    assert loss.tip() == before
    assert not loss.stage.sealed(HOUR + 1)


def test_a_seam_lets_the_lake_go_on_with_all_of_both(loss: Loss) -> None:
    feed = loss.lose_kafka()
    loss.refused()
    assert [cut.partition for cut in loss.sew(dry=True)] == [0]
    assert [cut.partition for cut in loss.sew()] == [0]
    assert loss.sew() == []
    fill(feed, loss.schema, HOUR + 1, AFTER)
    feed.barrier(HOUR + 1)
    fill(feed, loss.schema, HOUR + 2, range(2000, 2050))
    feed.barrier(HOUR + 2)
    with loss.stage.worker(*loss.entries):
        loss.stage.send(0, feed.out[:150])
        loss.stage.send(0, feed.out[100:])  # repeats of a dedup worker that crashed
        loss.stage.wait_sealed(HOUR + 1, HOUR + 2)
    with loss.stage.worker(*loss.entries):  # a worker that takes over behind the seam finds its log again
        fill(feed, loss.schema, HOUR + 3, range(3000, 3010))
        feed.barrier(HOUR + 3)
        loss.stage.send(0, feed.out[-11:])
        loss.stage.wait_sealed(HOUR + 3)
    rows = {hour: loss.stage.ids(hour) for hour in (HOUR + 1, HOUR + 2, HOUR + 3)}
    assert [len(found) for found in rows.values()] == [100 + len(AFTER), 50, 10]
    assert all(count == 1 for found in rows.values() for count in found.values())
    found = [loss.stage.manifest(HOUR + n) for n in range(4)]
    assert [manifest.complete for manifest in found] == [True, False, True, True]
    assert any("Kafka was lost" in fault for fault in found[1].audit.faults)
    assert prove(store_of(loss.stage), loss.stage.type, Range(), lambda _what: None) == []


def test_an_index_rebuilt_over_a_seam_knows_no_record_of_the_old_log_again(loss: Loss) -> None:
    """A copy of an old event may stand at the very coordinates that it had in the old log: it must not pass for its own owner."""
    feed = loss.lose_kafka()
    loss.sew()
    store = store_of(loss.stage)
    covered = coverage(store, loss.stage.type)
    assert covered.tips == {0: 0}
    assert covered.seams[0] >= HOUR
    files = sealed_files(store, loss.stage.type, HOUR)
    for paths, sources in ((files.paths, files.sources), (covered.unsealed.paths, covered.unsealed.sources)):
        owners = b"".join(r.owners for path in paths for r in read_ids(store, path, Origins(sources, covered.seams), Hours()))
        assert owners
        assert {owners[at] for at in range(0, len(owners), 8)} == {0}
    assert feed.out


def test_a_log_with_what_the_lake_may_have_is_no_other_log(loss: Loss) -> None:
    """Kafka put back from an older moment: its records stand in the lake already."""
    chain = CommitChain(store_of(loss.stage))
    where, tip = Partition(loss.stage.type, 0), loss.tip()
    more = CommitEntry(
        type=where.event_type, partition=0, first=tip.next, next=tip.next + 50, mark=tip.mark, closed=tip.closed, parts=[], hours={},
        barriers=[], repeats=50, foreign=0, previous=tip.digest, writer="w", appended_ms=int(time.time() * 1000) + 1000,
    )  # fmt: skip
    chain.extend(tip, more)
    assert f"the log ends at {tip.next}" in loss.refused()
    with pytest.raises(NoSeam, match="put back from an older moment"):
        loss.sew()


def test_the_time_index_knows_the_log_again_without_a_read(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    where, tip = Partition(loss.stage.type, 0), loss.tip()
    logs = CleanLogs(loss.stage.settings())
    asked: list[dict[Partition, int]] = []
    read = logs.appended

    def appended(offsets: Mapping[Partition, int]) -> dict[Partition, int]:
        asked.append(dict(offsets))
        return read(offsets)

    monkeypatch.setattr(logs, "appended", appended)
    logs.check({where: tip})
    with pytest.raises(OffsetLost, match="was appended at"):
        logs.check({where: tip._replace(appended_ms=tip.appended_ms + 1)})
    with pytest.raises(OffsetLost, match="was appended at"):
        logs.check({where: tip._replace(next=tip.next - 120)})  # in the hour before, half a second older at least
    assert [list(offsets) for offsets in asked] == [[], [where], [where]]


def test_a_leader_of_another_epoch_is_asked_by_another_client(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """The one that knew it before is refused for ever."""
    loss = Loss(Stage(kafka_server.bootstrap, tmp_path))
    logs, tips = CleanLogs(loss.stage.settings()), {Partition(loss.stage.type, 0): loss.tip()}
    logs.check(tips)
    kafka_server.kill()
    kafka_server.start()

    def known() -> bool:
        try:
            logs.check(tips)
        except BrokerUnavailable:
            return False
        return True

    eventually(known, "the log to be known again")
