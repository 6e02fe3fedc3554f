"""Parked events: what a receiver pays to know what waits, and to replay it: `python -m benchmarks.parked`.

On a Kafka of its own. Events of one type lie behind three times as many of types that nobody declares; the rate limit is lifted. CPU is the
whole receiver's, in microseconds per record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from hourmark.event import ENVELOPE
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.parked import PARKED_HEADER, parked_partition
from hourmark.schemas import Entry, EventType, WireSchema, avro_text, encode_entry, entry_key
from hourmark.topics import CONTROL, PARKED, PLATFORM_PARTITIONS, event_topic_config, platform_topic_config, raw_topic
from local.kafka import KafkaServer
from receiver.app import Receiver
from receiver.settings import Settings

LATE = "bench.late"
JUNK = 6  # types that nobody declares, each with half as many events
FIELDS = [{"name": "track", "type": "string"}, {"name": "ms_played", "type": "long"}]
ENVELOPE_TEXT = b'{"sdk":"ios","sdk_version":"1","app":"web","install":"i","sent_at":1772348400000000,"received_at":1772348400000000}'


def park(producer: Producer, name: str, count: int) -> None:
    """All in the partition of LATE, so that one owner meets them all."""
    for number in range(count):
        event_id = uuid.uuid4()
        payload = {"track": "x" * 150, "ms_played": number}
        event = {"type": name, "id": str(event_id), "time": "2026-03-01T06:59:58Z", "seq": number, "payload": payload}
        value = b'{"envelope":%b,"event":%b}' % (ENVELOPE_TEXT, json.dumps(event).encode())
        producer.produce(PARKED, value, event_id.bytes, parked_partition(LATE), headers=[(PARKED_HEADER, name.encode())])
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()


def declare(kafka: str, producer: Producer) -> None:
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), [TopicSpec(raw_topic(LATE), 4, event_topic_config(3_600_000, 1))])
    avro = {"type": "record", "name": "Late", "fields": [*ENVELOPE, *FIELDS]}
    schema = WireSchema(revision=1, schema_id=1, event=LATE, version=1, fingerprint="", text=avro_text(avro))
    entries: list[Entry] = [schema, EventType(revision=2, event=LATE, owner="bench", schema_id=1, partitions=4)]
    for entry in entries:
        producer.produce(CONTROL, encode_entry(entry), entry_key(entry))
    producer.flush()


async def timed(reached: Callable[[], bool], records: int) -> dict[str, float]:
    began, cpu = time.monotonic(), time.process_time()
    while not reached():  # noqa: ASYNC110  what is waited for has no event
        await asyncio.sleep(0.02)
    seconds = time.monotonic() - began
    return {"records": records, "seconds": seconds, "records_s": records / seconds, "cpu_us": (time.process_time() - cpu) / records * 1e6}


async def measure(home: Path, events: int) -> dict[str, dict[str, float]]:
    server = KafkaServer(home / "kafka", heap_mb=512)
    server.start()
    try:
        specs = [TopicSpec(name, count, platform_topic_config(name, 1)) for name, count in PLATFORM_PARTITIONS.items()]
        ensure_topics(AdminClient({"bootstrap.servers": server.bootstrap}), specs)
        producer = Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 20})
        for number in range(JUNK):
            park(producer, f"junk.t{number}", events // 2)
        park(producer, LATE, events)
        junk = JUNK * (events // 2)
        settings = Settings(kafka=server.bootstrap, home=home, listen="127.0.0.1:0", profile="local", replay_events_s=1e9)
        async with Receiver(settings) as receiver:
            replay = receiver.replay
            assert replay is not None
            index = await timed(lambda: replay.waiting() == junk + events, junk + events)
            declare(server.bootstrap, producer)
            return {"index": index, "replay": await timed(lambda: replay.waiting() == junk, events)}
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    home = Path(tempfile.mkdtemp(prefix="hourmark-bench-"))
    try:
        print(json.dumps(asyncio.run(measure(home, parser.parse_args().events)), indent=1))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
