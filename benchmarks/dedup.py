"""The dedup worker against the bare client: `python -m benchmarks.dedup`.

Both read the same preloaded raw topic, make the same claims in the same index and write the same bytes; the bare one is a loop of
aiokafka's getmany, one claim, send_batch, commit. `pinned` is the worker kept on one core (HOURMARK_STREAMS_CPU); `compact` is the worker
with that index, beside a bare loop with it. CPU comes from the operating system, for each process. Three rounds, medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.event import frame
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import EventType, encode_entry
from hourmark.topics import CONTROL, PLATFORM_PARTITIONS, REJECTED, clean_topic, event_topic_config, platform_topic_config, raw_topic

PARTITIONS = 8
COPIES = 20  # every 20th event is sent again
PAYLOAD = 229
SECRET = "bench"
WAYS = {"worker": "bare", "pinned": "bare", "bare": "", "compact": "bare_compact", "bare_compact": ""}  # each beside its bare loop


def main(kafka: str, redis_url: str, events: int = 300_000, rounds: int = 3) -> dict[str, Any]:
    """Run it on these servers (the Redis database of the URL is emptied!) and return the figures."""
    event = f"bench{secrets.token_hex(4)}.event"
    admin = AdminClient({"bootstrap.servers": kafka})
    bare_topic = f"bare.{event}"
    _prepare(kafka, admin, event, bare_topic, events)
    servers = {"kafka": _listening(urlsplit(f"//{kafka.split(',')[0]}").port), "valkey": _listening(urlsplit(redis_url).port)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    try:
        for number in range(rounds):
            for name, beside in WAYS.items():
                topic = clean_topic(event) if beside else bare_topic
                _empty(redis_url)
                argv, env = _command(name, kafka, redis_url, event, bare_topic, number)
                found[name].append(_measure(argv, env, kafka, topic, events, servers))
    finally:
        _announce(kafka, event, None)
        for future in admin.delete_topics([raw_topic(event), clean_topic(event), bare_topic]).values():
            future.result()
    medians = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}
    return {
        "stage": "dedup",
        "events": events,
        **medians,
        "cpu_ratio_to_bare": {name: _ratio(found[name], found[bare], "events_per_cpu_s") for name, bare in WAYS.items() if bare},
        "wall_ratio_to_bare": {name: _ratio(found[name], found[bare], "events_per_s") for name, bare in WAYS.items() if bare},
        "rounds": found,
    }


def _ratio(ours: list[dict[str, float]], bare: list[dict[str, float]], what: str) -> float:
    """Median over the rounds of ours as a share of the bare loop's in the same round."""
    return statistics.median(one[what] / other[what] for one, other in zip(ours, bare, strict=True))


def _prepare(kafka: str, admin: AdminClient, event: str, bare_topic: str, events: int) -> None:
    config = event_topic_config(3_600_000, 1)
    ensure_topics(admin, [TopicSpec(name, PLATFORM_PARTITIONS[name], platform_topic_config(name, 1)) for name in (CONTROL, REJECTED)])
    ensure_topics(admin, [TopicSpec(name, PARTITIONS, config) for name in (clean_topic(event), raw_topic(event), bare_topic)])
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 50, "batch.size": 500_000, "queue.buffering.max.messages": 1_000_000})
    head, topic = frame(1), raw_topic(event)
    kept = b""
    for number in range(events):
        kept = event_id = kept if number % COPIES == COPIES - 1 else secrets.token_bytes(16)
        producer.produce(topic, key=event_id, value=head + event_id + secrets.token_bytes(PAYLOAD - 21), partition=number // 7 % PARTITIONS)
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    _announce(kafka, event, EventType(revision=1, event=event, owner="bench", schema_id=1, partitions=PARTITIONS))


def _announce(kafka: str, event: str, entry: EventType | None) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(CONTROL, key=f"type/{event}", value=encode_entry(entry) if entry else None)
    producer.flush()


def _empty(redis_url: str) -> None:
    import redis

    redis.Redis.from_url(redis_url).flushdb()


def _command(name: str, kafka: str, redis_url: str, event: str, bare_topic: str, number: int) -> tuple[list[str], dict[str, str]]:
    env = {
        "HOURMARK_KAFKA": kafka,
        "HOURMARK_REDIS_URL": redis_url,
        "HOURMARK_PROFILE": "local",
        "HOURMARK_HOME": tempfile.mkdtemp(prefix="hourmark-bench-"),
        "HOURMARK_STREAMS_APP_ID": f"{event}-{name}-{number}",
        "HOURMARK_STREAMS_CPU": str(max(os.sched_getaffinity(0))) if name == "pinned" else "-1",
        "HOURMARK_STREAMS_TYPES": json.dumps([event]),
        "HOURMARK_DEDUP_SECRET": SECRET,
        "HOURMARK_DEDUP_BACKEND": "compact" if "compact" in name else "plain",
    }
    if WAYS[name]:
        return [sys.executable, "-m", "streams"], env
    return [sys.executable, "-m", "benchmarks.dedup", "--bare", event, bare_topic], env


def _measure(
    argv: list[str], env: dict[str, str], kafka: str, topic: str, events: int, servers: dict[str, psutil.Process | None]
) -> dict[str, float]:
    """From the first output to the last: wall time, and CPU of the process and the servers, per raw event."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench"})
    before, wanted = _written(consumer, topic), events - events // COPIES
    log = Path(env["HOURMARK_HOME"]) / "log"
    with log.open("wb") as out:
        child = subprocess.Popen(argv, env={**os.environ, **env}, stdout=out, stderr=out)
    try:
        _until(lambda: _written(consumer, topic) > before, child, log)
        watched = {"process": psutil.Process(child.pid), **{name: server for name, server in servers.items() if server}}
        at, cpu, start = time.monotonic(), {name: _cpu(process) for name, process in watched.items()}, _written(consumer, topic) - before
        _until(lambda: _written(consumer, topic) - before >= wanted, child, log)
        seconds = time.monotonic() - at
        share = (wanted - start) / wanted * events
        memory = watched["process"].memory_info().rss
        used = {name: (_cpu(process) - cpu[name]) / share * 1e6 for name, process in watched.items()}
    finally:
        child.terminate()
        child.wait(20)
        consumer.close()
        shutil.rmtree(env["HOURMARK_HOME"], ignore_errors=True)
    return {
        "events_per_s": share / seconds,
        "events_per_cpu_s": 1e6 / used["process"],
        "process_rss_mb": memory / 1e6,
        **{f"{name}_us_per_event": value for name, value in used.items()},
    }


def _until(done: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if child.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the measured process stopped or stalled:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)


def _written(consumer: Consumer, topic: str) -> int:
    return sum(consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1] for number in range(PARTITIONS))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _listening(port: int | None) -> psutil.Process | None:
    """The local process that listens there; None when it is not ours to see."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None


async def bare(event: str, topic: str) -> None:
    """The least code that does the same reads, claims and writes. Loses events when it is killed; it is only a yardstick."""
    import gc

    import aiokafka
    from aiokafka.structs import OffsetAndMetadata

    from dedup.backends import open_index
    from dedup.index import Claims, id_hasher
    from dedup.settings import DedupSettings
    from hourmark.event import STAMP, STAMP_HEADER

    kafka = os.environ["HOURMARK_KAFKA"]
    consumer = aiokafka.AIOKafkaConsumer(
        raw_topic(event),
        bootstrap_servers=kafka,
        group_id=os.environ["HOURMARK_STREAMS_APP_ID"] + "-bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1_048_576,
    )
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_batch_size=900_000)
    index = open_index(DedupSettings())
    await consumer.start()
    await producer.start()
    await index.initialise()
    hashed = id_hasher(SECRET.encode(), event)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    committed = time.monotonic()
    while True:
        polled = await consumer.getmany(timeout_ms=1000, max_records=20_000)
        for tp, rs in polled.items():
            if rs[-1].value is None:  # the barrier that the worker of the round before wrote
                polled[tp] = [r for r in rs if r.value is not None]
        records = b"".join(
            [hashed(r.value[5:21]) + (1 << 56 | tp.partition << 40 | r.offset).to_bytes(8, "big") for tp, rs in polled.items() for r in rs]
        )
        owners = await index.claim([Claims(int(time.time() * 1000), records)])
        position, sent, now = 0, [], int(time.time() * 1000)
        for tp, rs in polled.items():
            batch = producer.create_batch()
            for r in rs:
                position += 1
                if position - 1 in owners:
                    continue
                headers = [(STAMP_HEADER, STAMP.pack(1, 1, tp.partition, r.offset, r.timestamp, 0, 0))]
                if batch.append(key=r.key, value=r.value, timestamp=now, headers=headers) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=tp.partition))
                    batch = producer.create_batch()
                    batch.append(key=r.key, value=r.value, timestamp=now, headers=headers)
            sent.append(await producer.send_batch(batch, topic, partition=tp.partition))
        await asyncio.gather(*sent)
        if time.monotonic() - committed > 1.0:
            await consumer.commit({tp: OffsetAndMetadata(rs[-1].offset + 1, "") for tp, rs in polled.items() if rs})
            committed = time.monotonic()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", default=os.environ.get("HOURMARK_KAFKA", ""))
    parser.add_argument("--redis-url", default=os.environ.get("HOURMARK_REDIS_URL", ""), help="this database is emptied")
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    if given.bare:
        asyncio.run(bare(*given.bare))
    elif given.kafka and given.redis_url:
        print(json.dumps(main(given.kafka, given.redis_url, given.events, given.rounds), indent=2))
    else:
        sys.exit("say which servers: --kafka host:port --redis-url redis://host:port/15")
