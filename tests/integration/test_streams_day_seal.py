"""Days of the compact index sealed by a real worker, and a whole replay afterwards: the lake does not change by a byte."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from dedup.shards import Shard
from hourmark.event import FLAG_ECHO
from hourmark.hours import Hours, parse_label
from hourmark.schemas import EventType
from hourmark.topics import raw_topic
from local.redis import RedisServer
from tests.sinks.fakes import PAYLOAD, declared, event_id, value_of, wire_schema
from tests.sinks.stage import Stage as SinkStage
from tests.streams.stage import Clean, CleanEvent, Stage

pytestmark = pytest.mark.real
DAY_S = 24  # an hour lasts a second


def anchor_of(seconds: float) -> str:
    """A label from which a platform day ends about `seconds` from now."""
    gone = int(time.time() + seconds - Hours(1, parse_label("2026-01-01T00")).start_ms(parse_label("2026-01-01T00")) / 1000) % DAY_S
    return f"2026-01-01T{(-gone) % DAY_S:02}"


def send(stage: Stage, found: EventType, values: list[bytes], partition: int | None = None) -> None:
    for number, value in enumerate(values):
        stage.send_bytes(found, value, number % 2 if partition is None else partition)
    stage.flush()


def shards(stage: Stage) -> list[Shard]:
    raws = [stage.redis.get(f"{{{number}}}m") for number in range(8)]
    return [Shard.read(bytes(raw)) for raw in raws if raw is not None] or [Shard(0, 0, 0, 0, 0, (), ())]  # not begun


def reset(stage: Stage, found: EventType) -> None:
    """All offsets back to the beginning of the log, without state."""
    where = [TopicPartition(raw_topic(found.event), number, 0) for number in range(found.partitions)]
    request = ConsumerGroupTopicPartitions(f"dedup-{stage.prefix}-0", where)
    for future in stage.admin.alter_consumer_group_offsets([request]).values():
        future.result()


def after_rule(part: Clean) -> list[CleanEvent]:
    """The sink's rule: at or below the highest raw offset seen, barriers included, is a repeat."""
    highest, kept = -1, []
    for record in part.records:
        offset = record.stamp.offset if isinstance(record, CleanEvent) else record.offset
        if isinstance(record, CleanEvent) and offset > highest:
            kept.append(record)
        highest = max(highest, offset)
    return kept


def test_a_replay_of_a_sealed_day_changes_nothing_in_the_lake(kafka: str, valkey_server: RedisServer, tmp_path: Path) -> None:
    stage, sink = Stage(kafka, valkey_server.url, tmp_path), SinkStage(kafka, tmp_path)
    stage.hour_s, lapse = 1, {"hour_seconds": 1, "hour_anchor": anchor_of(9)}
    env = {"HOURMARK_HOUR_ANCHOR": str(lapse["hour_anchor"]), "HOURMARK_DEDUP_BACKEND": "compact", "HOURMARK_DEDUP_IDS_A_DAY": "1000"}
    thing = stage.declare(partitions=2)
    sink.type = thing.event
    schema = wire_schema(thing.event, thing.schema_id, PAYLOAD)
    values = [value_of(schema, number, {"user": "a", "ms": number}) for number in range(400)]
    hours = Hours(1, parse_label(str(lapse["hour_anchor"])))
    try:
        first = stage.worker(**env)
        send(stage, thing, values[:300])
        send(stage, thing, values[:100], partition=1)  # copies: half of them on another partition
        today = hours.of(int(time.time() * 1000)) // 24
        stage.until(lambda: all(one.sealed >= today and not one.due for one in shards(stage)), 90, "a sealed day")
        assert all(one.hot == () or min(day for day, _ in one.hot) > today for one in shards(stage))
        with sink.worker(declared(thing.event, schema, 2), schema, **lapse):
            stage.until(lambda: any((sink.lake / "events").rglob("_SUCCESS")), 60, "sealed hours")
            last = stage.wait_closed(thing)[0].barriers()[-1].hour
            stage.until(lambda: sink.sealed(last), 60, "the hours of the first run")
            before = {hour: sink.files(hour) for hour in range(last - 60, last + 1) if sink.sealed(hour)}
            assert sum(sum(sink.ids(hour).values()) for hour in before) == 300
            assert first.terminate() == 0

            reset(stage, thing)
            second = stage.worker(**env)
            send(stage, thing, values[300:])
            send(stage, thing, values[200:300], partition=0)  # copies of what is sealed, another time
            stage.until(lambda: sum(len(after_rule(part)) for part in stage.clean(thing)) >= 400, 60, "the new events")
            parts = stage.clean(thing)
            news = [event for part in parts for event in after_rule(part)]
            assert sorted(event.id for event in news) == [event_id(number) for number in range(400)], "each id once"
            events = [event for part in parts for event in part.records if isinstance(event, CleanEvent)]
            assert sum(bool(event.stamp.flags & FLAG_ECHO) for event in events) >= 300, "own events or copies? It says that it cannot tell"
            assert not any(event.stamp.flags & FLAG_ECHO for event in news), "all are known downstream"
            end = max(event.stamp.hour for event in news)
            stage.until(lambda: sink.sealed(end + 1), 60, "the hours of the second run")
            assert {hour: sink.files(hour) for hour in before} == before, "not a byte"
            rows = {hour: sink.ids(hour) for hour in range(min(before), end + 2) if sink.sealed(hour)}
            assert sum(sum(found.values()) for found in rows.values()) == 400
            assert len({one for found in rows.values() for one in found}) == 400
            assert all(sink.manifest(hour).complete for hour in rows)
            assert second.terminate() == 0
    finally:
        stage.close()
