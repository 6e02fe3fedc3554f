"""The sink alone, with the columnar and with the row decoder: a preloaded clean topic to a sealed hour. Beside it in the same run: a bare
consume loop on the same topic (`bare`), and one that also decodes by columns and writes Parquet, without any promise (`loop`).

`python -m benchmarks.sink [--kafka host:port] [--events n]`. Each measurement runs in a process of its own, three rounds, medians.
CPU is the measured process's own, of all its threads, without start-up.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fastavro
import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.event import ENVELOPE, STAMP, STAMP_HEADER, CleanBarrier, Tally, clean_barrier_headers, frame
from hourmark.kafka import TopicSpec, ensure_topics, tail_config
from hourmark.schemas import EMPTY, EventType, Snapshot, WireSchema, avro_text, entry_key
from hourmark.topics import PLATFORM_PARTITIONS, clean_topic, event_topic_config, platform_topic_config
from sinks.memory import POOL

from .payload import PAYLOAD

HOUR = 492_000
HOUR_MS = 3_600_000
PARTITIONS = 4
SCHEMA_ID = 7
ROUNDS = 3
LOOP_EVENTS = 100_000


def main(kafka: str, events: int = 500_000, rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians of the bare loops and of the sink (`sink` by columns, `row` by rows): events/s, CPU µs/event, peak RSS in MB, CPU ratios."""
    event_type = f"bench{secrets.token_hex(3)}.played"
    size = preload(kafka, event_type, events)
    try:
        runs = [{what: _child(what, kafka, event_type, events) for what in WORK} for _ in range(rounds)]
    finally:
        AdminClient({"bootstrap.servers": kafka}).delete_topics([clean_topic(event_type)])
    result: dict[str, Any] = {"events": events, "bytes_per_event": size}
    for what in WORK:
        result[what] = {key: round(statistics.median(run[what][key] for run in runs), 2) for key in runs[0][what]}
    result["cpu_ratio"] = round(result["sink"]["cpu_us"] / result["bare"]["cpu_us"], 2)
    result["ratio_to_loop"] = round(result["loop"]["cpu_us"] / result["sink"]["cpu_us"], 2)
    return result


def catalogue(event_type: str) -> Snapshot:
    avro = {"type": "record", "name": "played", "namespace": "wire.bench", "fields": [*map(dict, ENVELOPE), *PAYLOAD]}
    schema = WireSchema(revision=1, schema_id=SCHEMA_ID, event=event_type, version=1, fingerprint="bench", text=avro_text(avro))
    declared = EventType(revision=2, event=event_type, owner="bench", schema_id=SCHEMA_ID, partitions=PARTITIONS)
    return EMPTY.with_changes((entry_key(entry), entry) for entry in (schema, declared))


def preload(kafka: str, event_type: str, events: int) -> int:
    """Write what a dedup worker would write: one hour, evenly over the partitions, closed by barriers. Returns bytes per event."""
    admin = AdminClient({"bootstrap.servers": kafka})
    platform = [TopicSpec(name, count, platform_topic_config(name, 1)) for name, count in PLATFORM_PARTITIONS.items()]
    ensure_topics(admin, [*platform, TopicSpec(clean_topic(event_type), PARTITIONS, event_topic_config(HOUR_MS, 1))])
    # idempotent like a dedup worker: a batch retried behind the next one would look like a repeat
    options = {"linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 200_000, "enable.idempotence": True}
    producer = Producer({"bootstrap.servers": kafka, **options})
    head, tails = frame(SCHEMA_ID), _datums(event_type)
    for partition in range(PARTITIONS):
        barrier(producer, event_type, partition, HOUR - 1, 0, {})
    for number in range(events):
        partition, offset = number % PARTITIONS, 1 + number // PARTITIONS
        stamp = STAMP.pack(1, 1, partition, offset, HOUR * HOUR_MS + number % HOUR_MS, HOUR, 0)
        value = head + secrets.token_bytes(16) + tails[number % len(tails)]
        _produce(producer, clean_topic(event_type), value, [(STAMP_HEADER, stamp)], partition)
    for partition in range(PARTITIONS):
        count = len(range(partition, events, PARTITIONS))
        barrier(producer, event_type, partition, HOUR, count + 1, {HOUR: Tally(consumed=count, forwarded=count)})
    if producer.flush(120):
        raise RuntimeError("the topic could not be filled")
    return sum(map(len, tails)) // len(tails) + 21


def barrier(producer: Producer, event_type: str, partition: int, hour: int, offset: int, tallies: dict[int, Tally]) -> None:
    seen = sum(tally.consumed for tally in tallies.values())
    facts = CleanBarrier(
        hour=hour,
        source=1,
        partition=partition,
        offset=offset,
        append_ms=(hour + 1) * HOUR_MS,
        first=1 if offset else 0,
        seen=seen,
        barriers=1,
        carried=0,
        left=0,
        tallies=tallies,
    )
    _produce(producer, clean_topic(event_type), None, clean_barrier_headers(facts), partition)


def _produce(producer: Producer, topic: str, value: bytes | None, headers: list[tuple[str, bytes]], partition: int) -> None:
    while True:
        try:
            producer.produce(topic, value=value, headers=list(headers), partition=partition)
            return
        except BufferError:
            producer.poll(0.2)


def _datums(event_type: str, count: int = 5000) -> list[bytes]:
    """Datums without their ids, which come first."""
    schema = fastavro.parse_schema(catalogue(event_type).schemas[SCHEMA_ID].avro)
    datums = []
    for number in range(count):
        moment = HOUR * HOUR_MS * 1000 + number * 700_001 % 3_600_000_000
        out = io.BytesIO()
        record = {
            "_event_id": bytes(16),
            "_event_time": moment,
            "_sent_at": moment + 1000,
            "_received_at": moment + 20_000,
            "_sdk": "hourmark-python",
            "_sdk_version": "0.1.0",
            "_app": "web",
            "_install_id": f"6f1c0b7e-{number % 500:04d}-4bbb-8ccc-1234567890ab",
            "_sequence": number,
            "_attempt": 1,
            "user_id": f"user-{number % 1000:06d}",
            "track": f"spotify:track:{number:010d}-{secrets.token_hex(8)}",
            "ms_played": number * 7919 % 300_000,
            "country": ("SE", "US", "DE", "BR")[number % 4],
            "premium": number % 3 == 0,
            "score": number / 7,
            "skips": number % 5,
        }
        fastavro.schemaless_writer(out, schema, record)
        datums.append(out.getvalue()[16:])
    return datums


def _child(what: str, kafka: str, event_type: str, events: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sink", "--child", what, "--kafka", kafka, "--type", event_type, "--events", str(events)]
    env = {**POOL, **os.environ, "HOURMARK_LOG_FORMAT": "json"}  # this module has loaded pyarrow before `choose_pool` could be called
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _measured(work: Callable[[], None], events: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"events_per_s": events / wall, "events_per_cpu_s": events / cpu, "cpu_us": cpu / events * 1e6, "rss_mb": rss}


def _bare(kafka: str, event_type: str, events: int) -> dict[str, float]:
    """Consume everything and touch value, headers and offset of each record."""
    from sinks.settings import Settings

    consumer = Consumer(tail_config(Settings(kafka=kafka, lake_url="file:///none")))
    consumer.assign([TopicPartition(clean_topic(event_type), partition, 0) for partition in range(PARTITIONS)])

    def work() -> None:
        seen = 0
        while seen < events + 2 * PARTITIONS:
            for message in consumer.consume(10_000, 1.0):
                message.value(), message.headers(), message.offset()
                seen += 1

    measured = _measured(work, events)
    consumer.close()
    return measured


def _warm() -> None:
    """Load what the first decoding loads: start-up is not what is measured."""
    from sinks.arrow import shape_of
    from sinks.columnar import ColumnarDecoder

    ColumnarDecoder().columnar(shape_of(catalogue("bench.played").schemas[SCHEMA_ID]))


def _sink(kafka: str, event_type: str, events: int, decoder: Literal["row", "columnar"]) -> dict[str, float]:
    from sinks.catalogue import FixedCatalogue
    from sinks.memory import settle
    from sinks.settings import Settings
    from sinks.watermarks import hours
    from sinks.worker import Seams, SinkWorker

    home = Path(tempfile.mkdtemp(prefix="hourmark-bench-"))
    stop = threading.Event()
    try:
        settings = Settings(
            kafka=kafka, lake_url=f"file://{home}/lake", home=home, group=f"bench-{secrets.token_hex(4)}", profile="local", decoder=decoder
        )
        _warm()
        worker = SinkWorker(settings, Seams(catalogue=FixedCatalogue(catalogue(event_type))))
        settle()

        def watch() -> None:
            while not any(row.state == "sealed" for row in hours(worker.store, event_type)):
                time.sleep(0.1)
            stop.set()

        threading.Thread(target=watch, daemon=True).start()
        measured = _measured(lambda: worker.run(stop), events)
        (row,) = hours(worker.store, event_type)
        if row.rows != events or not row.complete:
            raise RuntimeError(f"{events} events were sent, the sealed hour says {row}")
        return measured
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _loop(kafka: str, event_type: str, events: int) -> dict[str, float]:
    """What remains when nobody promises anything: consume, join, decode by columns, sort, write Parquet. No stamps looked at, no chain."""
    from sinks.arrow import shape_of
    from sinks.columnar import ColumnarDecoder, run_of
    from sinks.decode import STAMPS
    from sinks.memory import settle
    from sinks.parts import write_sorted
    from sinks.settings import Settings

    shape = shape_of(catalogue(event_type).schemas[SCHEMA_ID])
    schema, decoder = pa.schema(list(shape.stored.items())), ColumnarDecoder()
    _warm()
    settle()
    consumer = Consumer(tail_config(Settings(kafka=kafka, lake_url="file:///none")))
    consumer.assign([TopicPartition(clean_topic(event_type), partition, 0) for partition in range(PARTITIONS)])

    def write(values: list[bytes], stamps: list[bytes]) -> None:
        run = run_of(values, np.frombuffer(b"".join(stamps), STAMPS))
        with tempfile.TemporaryFile() as file:
            write_sorted(decoder.decode(shape, run).tables, schema, file)

    def work() -> None:
        seen, values, stamps = 0, list[Any](), list[Any]()
        while seen < events + 2 * PARTITIONS:
            found = consumer.consume(10_000, 1.0)
            seen += len(found)
            for message in found:
                value = message.value()
                if value is not None:
                    values.append(value)
                    headers: Any = message.headers()
                    stamps.append(headers[0][1])
            if len(values) > LOOP_EVENTS or seen >= events + 2 * PARTITIONS:
                write(values, stamps)
                values, stamps = [], []

    measured = _measured(work, events)
    consumer.close()
    return measured


WORK: dict[str, Callable[[str, str, int], dict[str, float]]] = {
    "bare": _bare,
    "loop": _loop,
    "sink": partial(_sink, decoder="columnar"),
    "row": partial(_sink, decoder="row"),
}


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", default=os.environ.get("HOURMARK_KAFKA", "127.0.0.1:9092"))
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--child", choices=tuple(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--type", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(WORK[chosen.child](chosen.kafka, chosen.type, chosen.events)))
    else:
        print(json.dumps(main(chosen.kafka, chosen.events, chosen.rounds), indent=1))


if __name__ == "__main__":
    _command_line()
