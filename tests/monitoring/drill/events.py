"""Drills about events and hours: what senders do wrong, and books that do not balance."""

from __future__ import annotations

import json
import uuid

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from cli.demo.ledger import Ledger
from hourmark.event import ID_END, ID_START
from hourmark.hours import label
from hourmark.topics import PARKED, raw_topic

from .ground import Ground
from .scene import Drill, Scene

DEDUP = ("dedup-1", "dedup-2")
HOUR_MS = 3_600_000
STALLED = frozenset({"HourmarkWatermarkLate", "HourmarkCanarySilent"})  # hours and canaries wait for dedup


def _spoilt(scene: Scene) -> None:
    load = scene.ground.load
    scene.later(lambda: load.spoilt.discard("drill.standard"))
    load.spoilt.add("drill.standard")


def _undeclared(scene: Scene) -> None:
    ground, name = scene.ground, "drill.forgotten"
    before = ground.retention(PARKED)
    scene.later(lambda: ground.retention(PARKED, before))
    scene.later(lambda: ground.declare(name))
    ids = [str(uuid.uuid4()) for _ in range(3)]
    events = [{"type": name, "id": one, "time": "2026-03-01T07:00:00Z", "payload": {"number": 1, "text": None}} for one in ids]
    status, answer, _ = ground.platform.post({"sdk": {"name": "drill", "version": "1"}, "app": "drill", "events": events})
    assert status == 200, answer
    assert {verdict["verdict"] for verdict in answer["results"].values()} == {"parked"}, answer
    ledger = ground.ledgers[name] = Ledger(name)
    ledger.sent, ledger.acknowledged = len(ids), ids
    scene.caused("HourmarkParkedWaiting")
    ground.retention(PARKED, str(HOUR_MS))
    scene.caused("HourmarkParkedExpiring")


def _silent(scene: Scene) -> None:
    name = "drill.quiet"
    consumed = f'hourmark_dedup_consumed_total{{event_type="{name}"}}'
    scene.until("events of the same time yesterday", lambda: scene.prometheus.query(f"sum({consumed} offset 5m) > 200"), 900.0)
    scene.later(lambda: scene.ground.load.silent.discard(name))
    scene.ground.load.silent.add(name)
    scene.caused()


def _sealed_by_force(scene: Scene) -> None:
    """While the index is away an hour stays open; somebody needs the report now."""
    ground, name = scene.ground, "drill.debug"
    scene.until("sealed hours", lambda: ground.newest_sealed(name) >= 0)
    scene.later(ground.freeze("valkey"))
    hour = ground.platform.hour_now()
    scene.until("the hour to end", lambda: ground.platform.hour_now() > hour + 1)
    hour = ground.newest_sealed(name) + 1
    scene.caused()
    assert _force(scene, name, hour)
    scene.firing()


def _force(scene: Scene, name: str, hour: int) -> bool:
    """`hourmark seal --force`; the hour then stands among those that need not balance."""
    said = scene.ground.command("seal", name, label(hour), "--force", "--reason", "a drill")
    scene.say(f"        {(said.stdout + said.stderr).strip()}")
    if said.returncode == 0:
        scene.ground.forced.add((name, label(hour)))
    return said.returncode == 0


def _log_cut(scene: Scene) -> None:
    """Retention overtakes the dedup workers of a type that is sealed only when its books balance; an operator accepts the loss."""
    ground, name = scene.ground, "drill.held"
    start = ground.stop_all(*DEDUP)
    before = len(ground.ledgers[name].acknowledged)
    scene.until("events that nobody reads", lambda: len(ground.ledgers[name].acknowledged) > before + 200)
    ids = _cut(ground, name, 0)
    start()
    scene.caused("HourmarkInvariantBroken")
    scene.firing("HourmarkInvariantBroken")
    start = ground.stop_all(*DEDUP)
    accept = ("dedup", "accept-loss", name, "--yes", "--json")
    said = scene.until("the loss to be accepted", lambda: (done := ground.command(*accept)).returncode == 0 and done)
    gaps = json.loads(said.stdout)["gaps"]
    ground.lost[name] = {ids[offset] for gap in gaps for offset in range(gap["first"], gap["until"]) if offset in ids}
    scene.say(f"        given up: {gaps}, {len(ground.lost[name])} events")
    start()
    scene.caused("HourmarkAuditHeld")
    scene.heal("HourmarkInvariantBroken")
    scene.firing("HourmarkAuditHeld")
    scene.heal("HourmarkAuditHeld")
    scene.until("no hour to be held any more", lambda: _released(scene, name))


def _released(scene: Scene, name: str) -> bool:
    """Whether no hour is held any more; the one that is held is sealed by force. The barrier after the gap may close several hours."""
    held = f'hourmark_sink_blocked_partitions{{event_type="{name}",reason="audit_held"}} > 0'
    if not scene.prometheus.query(held):
        return True
    _force(scene, name, scene.ground.newest_sealed(name) + 1)  # refused where what Prometheus says is some seconds old
    return False


def _cut(ground: Ground, name: str, partition: int) -> dict[int, str]:
    """Delete everything that stands in a raw partition, as retention would; the ids, by offset."""
    where = TopicPartition(raw_topic(name), partition)
    consumer = Consumer({"bootstrap.servers": ground.memory.kafka, "group.id": "drill", "enable.auto.commit": False, "log_level": 0})
    ids: dict[int, str] = {}
    try:
        low, high = consumer.get_watermark_offsets(where, timeout=60.0)
        consumer.assign([TopicPartition(where.topic, partition, low)])
        while (position := consumer.position([where])[0].offset) < high:
            for message in consumer.consume(1000, 1.0):
                value = message.value() if message.error() is None else None
                if value is not None and len(value) > ID_END:
                    ids[int(message.offset() or 0)] = str(uuid.UUID(bytes=value[ID_START:ID_END]))
            assert position < high
        admin = AdminClient({"bootstrap.servers": ground.memory.kafka, "log_level": 0})
        for done in admin.delete_records([TopicPartition(where.topic, partition, high)]).values():
            done.result(60)
    finally:
        consumer.close()
    return ids


SENDERS = (
    Drill({"HourmarkEventsRejected": "half of the events of a type do not fit its declaration"}, _spoilt),
    Drill(
        {
            "HourmarkParkedWaiting": "three events of a type nobody declared",
            "HourmarkParkedExpiring": "such events, and `retention.ms` of the topic `parked` cut to an hour",
        },
        _undeclared,
    ),
    Drill({"HourmarkNoTraffic": "the senders of a type stop"}, _silent),
)
HOURS = (
    Drill(
        {"HourmarkAuditUnequal": "an hour sealed by force while Valkey is frozen"},
        _sealed_by_force,
        STALLED | {"HourmarkIndexAway"},
    ),
    Drill(
        {
            "HourmarkInvariantBroken": "unread records deleted from a raw topic (`offset_lost`)",
            "HourmarkAuditHeld": "`dedup accept-loss` on a type declared `audit: hold`",
        },
        _log_cut,
        STALLED | {"HourmarkRoomGone", "HourmarkAuditUnequal"},
    ),
)
