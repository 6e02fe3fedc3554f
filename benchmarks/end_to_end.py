"""The whole way, from HTTP requests to sealed Parquet hours, on a native stack of its own: `python -m benchmarks.end_to_end`.

Wall time runs from the first request until the last event is in a sealed hour, without the wait for that hour's end. CPU is what the
operating system books on each process, children included. The bare loop beside it produces and consumes as many values, and does no more.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from cli.addresses import Addresses
from cli.catalogue import Catalogue
from cli.hour_rows import HourRow, of_type
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.topics import clean_topic, event_topic_config
from local.settings import StackSettings
from local.stack import Stack
from local.status import StackStatus

from .load import BATCH, Bodies, send
from .payload import PAYLOAD, PRIVACY

PARTITIONS = 8
HOUR_SECONDS = 10
VALUE_BYTES = 250


def main(events: int = 300_000, rounds: int = 3) -> dict[str, Any]:
    """Medians: events/s, seal delay, and for each process CPU µs per event and RSS in MB; the bare loop; the ratio of events/s."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-bench-"))
    settings = StackSettings(home=home, hour_seconds=HOUR_SECONDS, receivers=1, dedup_workers=1, sink_workers=1)
    stack = Stack(settings)
    try:
        stack.up(bound=True)
        status = stack.status()
        found = [{"whole": whole(status, events), "bare": bare(status.kafka, events)} for _ in range(rounds)]
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    medians = {what: {key: statistics.median(run[what][key] for run in found) for key in found[0][what]} for what in ("whole", "bare")}
    ratio = statistics.median(run["whole"]["events_per_s"] / run["bare"]["events_per_s"] for run in found)
    return {"stage": "end_to_end", "events": events, **medians, "ratio_to_bare": ratio, "rounds": found}


def whole(status: StackStatus, events: int) -> dict[str, float]:
    """One round through the whole platform."""
    event_type = f"bench{secrets.token_hex(3)}.played"
    declaration = {"event": event_type, "owner": "bench", "partitions": PARTITIONS}
    schema = {"type": "record", "name": "played", "fields": PAYLOAD}
    Catalogue(status.registry).declare(event_type, declaration | {"schema": schema, "privacy": PRIVACY}, wait=20.0)
    made = Bodies(event_type, secrets.randbits(16))
    bodies = [made.body(number) for number in range(-(-events // BATCH))]
    events = len(bodies) * BATCH
    processes = {p.name: psutil.Process(p.pid) for p in status.processes if p.pid} | {"sender": psutil.Process()}
    before = {name: cpu(process) for name, process in processes.items()}
    started = time.monotonic()
    send(status, bodies)
    acked = time.monotonic() - started
    _until("the clean topic", lambda: ends_of(status.kafka, clean_topic(event_type)) >= events)
    clean = time.monotonic() - started
    last = _until_sealed(status, event_type, events)
    used = {name: (cpu(process) - before[name]) / events * 1e6 for name, process in processes.items()}
    seconds = clean + (last.delay_seconds or 0.0)
    return {
        "events_per_s": events / seconds,
        "acked_per_s": events / acked,
        "seal_delay_s": last.delay_seconds or 0.0,
        "cpu_us": sum(us for name, us in used.items() if name != "sender"),
        **{f"{name}_us": us for name, us in used.items()},
        **{f"{name}_rss_mb": process.memory_info().rss / 1e6 for name, process in processes.items()},
    }


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and all its children, the ended ones too."""
    times = process.cpu_times()
    living = sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True)) if process.pid != os.getpid() else 0.0
    return float(times.user + times.system + times.children_user + times.children_system + living)


def _until(what: str, done: Callable[[], bool], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.1)


def _until_sealed(status: StackStatus, event_type: str, events: int) -> HourRow:
    """The newest sealed hour with rows, when all events are in sealed hours."""
    at = Addresses(lake=status.lake, hour_seconds=status.hour_seconds, hour_anchor=status.hour_anchor)
    found: list[HourRow] = []

    def done() -> bool:
        found[:] = [row for row in of_type(at, event_type, 1000) if row.state == "sealed" and row.rows]
        return sum(row.rows for row in found) >= events

    _until("sealed hours", done)
    return found[-1]


def ends_of(kafka: str, topic: str) -> int:
    """End offsets, which are the events and some barriers, without the first barrier of each partition."""
    with _consumer(kafka) as consumer:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1] - 1 for number in range(PARTITIONS))


@contextmanager
def _consumer(kafka: str) -> Iterator[Consumer]:
    config = {"bootstrap.servers": kafka, "group.id": "bench", "enable.auto.commit": False, "fetch.queue.backoff.ms": 10}
    consumer = Consumer(config)
    try:
        yield consumer
    finally:
        consumer.close()


def bare(kafka: str, events: int) -> dict[str, float]:
    """Produce and consume as many values with the bare client, acks=all, a callback per event."""
    topic, value = f"bare.{secrets.token_hex(4)}", secrets.token_bytes(VALUE_BYTES)
    admin = AdminClient({"bootstrap.servers": kafka})
    ensure_topics(admin, [TopicSpec(topic, PARTITIONS, event_topic_config(3_600_000, 1))])
    own = psutil.Process()
    before, started = cpu(own), time.monotonic()
    acked = _produce(kafka, topic, value, events)
    with _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        seen = 0
        while seen < events:
            seen += len(consumer.consume(10_000, 1.0))
    seconds, used = time.monotonic() - started, cpu(own) - before
    admin.delete_topics([topic])[topic].result()
    if acked != events:
        raise RuntimeError(f"the bare producer had {acked} of {events} acknowledged")
    return {"events_per_s": events / seconds, "cpu_us": used / events * 1e6}


def _produce(kafka: str, topic: str, value: bytes, events: int) -> int:
    acked = 0

    def told(error: object, _message: object) -> None:
        nonlocal acked
        acked += error is None

    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5})
    for number in range(events):
        while True:
            try:
                producer.produce(topic, value, partition=number % PARTITIONS, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(60)
    return acked


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    json.dump(main(chosen.events, chosen.rounds), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    _command_line()
