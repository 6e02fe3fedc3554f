"""The tail of the control topic on real Kafka: late topics, changes, deletions, disk snapshot, node reports."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark import control, topics
from hourmark.control import ControlTail
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import EMPTY, Entry, EventType, encode_entry, entry_key, snapshot_bytes
from hourmark.settings import PlatformSettings

pytestmark = pytest.mark.real


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> str:
    """Platform topics of its own, so that tests on one broker do not meet."""
    name = f"control-{uuid.uuid4().hex}"
    monkeypatch.setattr(control, "CONTROL", name)
    monkeypatch.setattr(control, "NODES", f"{name}-nodes")
    return name


def create(kafka: str, name: str) -> None:
    compacted = topics.platform_topic_config(topics.CONTROL, 1)
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), [TopicSpec(name, 1, compacted), TopicSpec(f"{name}-nodes", 1, compacted)])


def write(kafka: str, name: str, *entries: Entry | str) -> None:
    producer = Producer({"bootstrap.servers": kafka, "acks": "all"})
    for entry in entries:
        deleted = isinstance(entry, str)
        producer.produce(name, key=entry if deleted else entry_key(entry), value=None if deleted else encode_entry(entry))
    assert producer.flush(30) == 0


def until(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def event_type(revision: int, name: str = "a.b") -> EventType:
    return EventType(revision=revision, event=name, owner="t", schema_id=1, partitions=1)


def test_follows_from_before_the_topic_exists_to_after_a_restart_without_kafka(kafka: str, names: str, tmp_path: Path) -> None:
    settings = PlatformSettings(kafka=kafka, home=tmp_path)
    tail = ControlTail(settings, "test").start()
    try:
        time.sleep(0.5)  # let it meet the missing topic
        create(kafka, names)
        write(kafka, names, event_type(1), event_type(2, "c.d"))
        until(lambda: set(tail.snapshot.types) == {"a.b", "c.d"}, "both types")
        write(kafka, names, "type/c.d", event_type(3))
        until(lambda: set(tail.snapshot.types) == {"a.b"} and tail.snapshot.revision == 3, "the deletion")
    finally:
        tail.close()
    again = ControlTail(PlatformSettings(kafka="127.0.0.1:1", home=tmp_path), "test").start()
    try:
        assert set(again.snapshot.types) == {"a.b"}
        assert not again.caught_up.is_set()
    finally:
        again.close()


def test_what_was_deleted_while_the_node_was_down_is_gone_after_catching_up(kafka: str, names: str, tmp_path: Path) -> None:
    create(kafka, names)
    write(kafka, names, event_type(1), event_type(2, "kept.type"))
    (tmp_path / "snapshots").mkdir()
    stale = EMPTY.with_changes([("type/gone.type", event_type(1, "gone.type"))])
    (tmp_path / "snapshots" / "test.json").write_bytes(snapshot_bytes(stale))
    tail = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path), "test").start()
    try:
        assert "gone.type" in tail.snapshot.types  # usable before Kafka answers
        until(lambda: set(tail.snapshot.types) == {"a.b", "kept.type"}, "only what the topic says")
    finally:
        tail.close()


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(kafka: str, names: str, tmp_path: Path) -> None:
    create(kafka, names)
    write(kafka, names, *(event_type(number, f"old.t{number}") for number in range(1, 9)))
    tail = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path), "test").start()
    try:
        until(lambda: len(tail.snapshot.types) == 8, "all types")
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.delete_topics([names])[names].result()
        until(lambda: names not in admin.list_topics(timeout=10).topics, "the topic to be gone")
        ensure_topics(admin, [TopicSpec(names, 1, topics.platform_topic_config(topics.CONTROL, 1))])
        write(kafka, names, event_type(1, "old.t1"), event_type(9, "new.type"))
        until(lambda: "new.type" in tail.snapshot.types, "what stands in the new topic")
        assert set(tail.snapshot.types) >= {"old.t1", "new.type"}
    finally:
        tail.close()


def test_a_worker_starts_by_the_disk_only_while_the_topic_is_away(
    kafka: str, names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "DISK_AFTER_S", 1.0)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "test.json").write_bytes(snapshot_bytes(EMPTY.with_changes([("type/a.b", event_type(1))])))
    remembers = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path), "test").start()
    knows_nothing = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path / "empty"), "test").start()
    try:
        assert not remembers.usable(0.01), "it waits for the topic first"
        until(lambda: remembers.usable(0.1), "patience to end")
        assert set(remembers.snapshot.types) == {"a.b"}
        assert not knows_nothing.usable(1.5)
        create(kafka, names)
        until(lambda: knows_nothing.usable(0.1), "the topic")
    finally:
        remembers.close()
        knows_nothing.close()


def test_reports_the_applied_revision_and_says_goodbye(kafka: str, names: str, tmp_path: Path) -> None:
    create(kafka, names)
    write(kafka, names, event_type(7))
    settings = PlatformSettings(kafka=kafka, home=tmp_path, node="n1")
    tail = ControlTail(settings, "test").start()
    until(lambda: tail.snapshot.revision == 7, "revision 7")
    seen = node_values(kafka, f"{names}-nodes", lambda values: any(v is not None and b'"revision":7' in v for v in values))
    assert b'"node":"n1"' in seen[-1]
    tail.close()
    assert node_values(kafka, f"{names}-nodes", lambda values: values[-1:] == [None])[-1] is None


def test_a_room_that_applies_later_reports_itself(kafka: str, names: str, tmp_path: Path) -> None:
    create(kafka, names)
    write(kafka, names, event_type(9))
    tail = ControlTail(PlatformSettings(kafka=kafka, home=tmp_path, node="n2"), "test", reports=False).start()
    try:
        until(lambda: tail.snapshot.revision == 9, "revision 9")
        tail.applied(9)
        node_values(kafka, f"{names}-nodes", lambda values: any(v is not None and b'"revision":9' in v for v in values))
    finally:
        tail.close()


def node_values(kafka: str, topic: str, enough: Callable[[list[bytes | None]], bool]) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "t", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values: list[bytes | None] = []

    def read() -> bool:
        values.extend(m.value() for m in consumer.consume(100, 0.2) if m.error() is None)
        return enough(values)

    until(read, "enough node reports")
    consumer.close()
    return values
