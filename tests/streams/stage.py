"""A stage for dedup workers on real servers: topics, catalogue entries, raw records, worker processes, and what reached clean."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.event import STAMP_HEADER, CleanBarrier, Stamp, frame, raw_barrier_headers, read_clean_barrier, unpack_stamp
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import EventType, encode_entry
from hourmark.topics import (
    CONTROL,
    NODES,
    PARKED,
    PLATFORM_PARTITIONS,
    REJECTED,
    SEALED_HOURS,
    clean_topic,
    event_topic_config,
    partition_of,
    platform_topic_config,
    raw_topic,
)

HOUR_S = 3
ANCHOR = "2026-01-01T00"


class CleanEvent(NamedTuple):
    id: bytes
    stamp: Stamp


class Clean(NamedTuple):
    """One clean partition, as it stands in the log: events and barriers, in order."""

    records: list[CleanEvent | CleanBarrier]

    def after_rule(self) -> list[CleanEvent]:
        """Events after the high-water rule: a raw offset at or below the highest seen is a repeat."""
        highest, kept = -1, []
        for record in self.records:
            if isinstance(record, CleanEvent) and record.stamp.offset > highest:
                highest = record.stamp.offset
                kept.append(record)
        return kept

    def barriers(self) -> list[CleanBarrier]:
        """Barriers, each raw one once. Repeats after a crash must be equal."""
        kept: dict[int, CleanBarrier] = {}
        for record in self.records:
            if isinstance(record, CleanBarrier):
                assert kept.setdefault(record.offset, record) == record, "a replay changed a barrier"
        return [kept[offset] for offset in sorted(kept)]


class WorkerProcess:
    """`python -m streams` as a child."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen([sys.executable, "-m", "streams"], env={**os.environ, **env}, stdout=out, stderr=out)

    @property
    def pid(self) -> int:
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def terminate(self, timeout: float = 20.0) -> int:
        """SIGTERM, and its exit code."""
        self._child.terminate()
        return self._child.wait(timeout)

    def wait(self, timeout: float) -> int:
        return self._child.wait(timeout)

    def running(self) -> bool:
        return self._child.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Stage:
    """Event types of its own (`self.prefix`), a group of its own, and a Redis database of its own, emptied at the end."""

    def __init__(self, kafka: str, redis_url: str, home: Path) -> None:
        self.kafka, self.home = kafka, home
        self.redis_url, self.redis = free_database(redis_url)
        self.prefix = f"t{secrets.token_hex(4)}"
        self.admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
        self.producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "log_level": 0})
        self.workers: list[WorkerProcess] = []
        self.types: list[EventType] = []
        self.hour_s = HOUR_S
        names = (CONTROL, NODES, REJECTED, PARKED, SEALED_HOURS)
        ensure_topics(self.admin, [TopicSpec(name, PLATFORM_PARTITIONS[name], platform_topic_config(name, 1)) for name in names])

    def declare(self, name: str = "thing", partitions: int = 2, *, dedup: str = "closed", announce: bool = True) -> EventType:
        """Topics with their first barriers, then the control entry, as the registry does it."""
        event = f"{self.prefix}.{name}"
        config = event_topic_config(3_600_000, 1)
        ensure_topics(self.admin, [TopicSpec(clean_topic(event), partitions, config), TopicSpec(raw_topic(event), partitions, config)])
        found = EventType(revision=int(time.time() * 1000), event=event, owner="tests", schema_id=1, partitions=partitions, dedup=dedup)
        self.types.append(found)
        if announce:
            self.announce(found)
        return found

    def announce(self, found: EventType) -> None:
        self.producer.produce(CONTROL, key=f"type/{found.event}", value=encode_entry(found))
        self.flush()

    def barrier(self, found: EventType, partition: int, hour: int) -> None:
        self.producer.produce(raw_topic(found.event), value=None, partition=partition, headers=raw_barrier_headers(hour))

    def send(self, found: EventType, ids: Iterable[bytes], partition: int | None = None) -> int:
        """Raw records with these ids; the partition rule unless one is given. Returns how many."""
        count, head, topic = 0, frame(found.schema_id), raw_topic(found.event)
        for event_id in ids:
            to = partition_of(event_id, found.partitions) if partition is None else partition
            while True:
                try:
                    self.producer.produce(topic, key=event_id, value=head + event_id + b"payload " * 8, partition=to)
                    break
                except BufferError:
                    self.producer.poll(0.1)
            count += 1
        self.producer.poll(0)
        return count

    def send_bytes(self, found: EventType, value: bytes | None, partition: int = 0) -> None:
        self.producer.produce(raw_topic(found.event), value=value, partition=partition)

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    def env(self, **extra: str) -> dict[str, str]:
        return {
            "HOURMARK_KAFKA": self.kafka,
            "HOURMARK_REDIS_URL": self.redis_url,
            "HOURMARK_PROFILE": "local",
            "HOURMARK_HOUR_SECONDS": str(self.hour_s),
            "HOURMARK_HOUR_ANCHOR": ANCHOR,
            "HOURMARK_HOME": str(self.home),
            "HOURMARK_STREAMS_APP_ID": f"dedup-{self.prefix}",
            "HOURMARK_STREAMS_TYPES": json.dumps([f"{self.prefix}.*"]),
            "HOURMARK_STREAMS_SESSION_TIMEOUT": "4",
            "HOURMARK_STREAMS_COMMIT_INTERVAL": "0.3",
            **extra,
        }

    def worker(self, **extra: str) -> WorkerProcess:
        made = WorkerProcess(self.env(**extra), self.home / f"worker-{len(self.workers)}.log")
        self.workers.append(made)
        return made

    def clean(self, found: EventType) -> list[Clean]:
        """Every clean partition of the type, from 0 to its present end."""
        return [
            Clean([_clean_record(value, headers) for _key, value, headers in self.read(clean_topic(found.event), partition)])
            for partition in range(found.partitions)
        ]

    def read(self, topic: str, partition: int) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "t", "enable.auto.commit": False, "fetch.queue.backoff.ms": 10})
        try:
            where = TopicPartition(topic, partition, 0)
            end = _end_of(consumer, where)
            consumer.assign([where])
            out: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = []
            while len(out) < end:
                for message in consumer.consume(10_000, 1.0):
                    assert message.error() is None, message.error()
                    out.append((message.key(), message.value(), list(message.headers() or [])))
            return out
        finally:
            consumer.close()

    def wait_clean(self, found: EventType, ids: int, timeout: float = 60.0) -> list[Clean]:
        """Wait until so many different ids are on clean."""

        def arrived() -> bool:
            return sum(len(part.after_rule()) for part in self.clean(found)) >= ids

        self.until(arrived, timeout, f"{ids} events on clean.{found.event}")
        return self.clean(found)

    def wait_closed(self, found: EventType, timeout: float = 60.0) -> list[Clean]:
        """Wait until every hour that holds events so far is closed by a barrier in its partition."""

        def closed() -> bool:
            for part in self.clean(found):
                hours = [record.stamp.hour for record in part.records if isinstance(record, CleanEvent)]
                if hours and max((barrier.hour for barrier in part.barriers()), default=-1) < max(hours):
                    return False
            return True

        self.until(closed, timeout, "all hours closed")
        return self.clean(found)

    def until(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {worker.log}\n{worker.said()[-3000:]}" for worker in self.workers)
                raise AssertionError(f"{what}: not within {timeout} s\n{logs}")
            time.sleep(0.2)

    def close(self) -> None:
        for worker in self.workers:
            if worker.running():
                worker.kill()
        for found in self.types:
            self.producer.produce(CONTROL, key=f"type/{found.event}", value=None)
        self.flush()
        with contextlib.suppress(redis.ConnectionError):
            self.redis.flushdb()
        names = [name for found in self.types for name in (raw_topic(found.event), clean_topic(found.event))]
        if names:
            for future in self.admin.delete_topics(names).values():
                with contextlib.suppress(KafkaException):  # announced in vain
                    future.result()


def _clean_record(value: bytes | None, headers: list[tuple[str, bytes]]) -> CleanEvent | CleanBarrier:
    if value is None:
        barrier = read_clean_barrier(headers)
        assert barrier is not None
        return barrier
    return CleanEvent(value[5:21], unpack_stamp(dict(headers)[STAMP_HEADER]))


def free_database(redis_url: str) -> tuple[str, redis.Redis]:
    """An empty numbered database of this server: its URL and a client."""
    for number in range(1, 16):
        url = f"{redis_url.rsplit('/', 1)[0]}/{number}"
        client = redis.Redis.from_url(url)
        if client.dbsize() == 0:
            return url, client
    raise AssertionError("all databases of the test server are in use")


def new_ids(count: int) -> list[bytes]:
    return [secrets.token_bytes(16) for _ in range(count)]


def assert_exact(parts: list[Clean], ids: Iterable[bytes]) -> None:
    """Exactly these ids, each once, after the high-water rule."""
    found = Counter(event.id for part in parts for event in part.after_rule())
    wanted = set(ids)
    doubled = sum(count - 1 for count in found.values())
    assert (len(wanted - found.keys()), doubled, len(found.keys() - wanted)) == (0, 0, 0), "(lost, doubled, unknown)"


def assert_balanced(parts: list[Clean]) -> None:
    """Each barrier's record adds up, and says of its hours what really stands on clean."""
    for part in parts:
        forwarded = Counter(event.stamp.hour for event in part.after_rule())
        skewed = Counter(event.stamp.hour for event in part.after_rule() if event.stamp.flags & 1)
        follows = 0
        for barrier in part.barriers():
            assert barrier.balanced(), barrier
            assert barrier.first == follows
            follows = barrier.offset + 1
            for hour, tally in barrier.tallies.items():
                assert tally.consumed == tally.forwarded + tally.duplicates + tally.rejected
                assert (tally.forwarded, tally.skewed) == (forwarded[hour], skewed[hour]), hour


def _end_of(consumer: Consumer, where: TopicPartition) -> int:
    """Next offset to be written. Asks again while a young topic, or a broker that is coming back, does not know its partitions yet."""
    deadline = time.monotonic() + 30
    while True:
        try:
            end: int = consumer.get_watermark_offsets(where, timeout=10)[1]
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return end
