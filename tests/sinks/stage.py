"""A stage for sink workers on real Kafka: topics of one event type, a paper dedup worker whose records go to the clean topic, workers as
threads or as processes, and what can be read from the lake afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import EventType, WireSchema, snapshot_bytes
from hourmark.topics import PLATFORM_PARTITIONS, clean_topic, event_topic_config, platform_topic_config
from sinks import layout
from sinks.catalogue import FixedCatalogue
from sinks.lake import open_store
from sinks.manifest import Manifest, decode
from sinks.settings import Settings
from sinks.worker import Seams, SinkWorker
from tests.sinks.fakes import Clean, snapshot_of

DEADLINE_S = 60.0


def eventually(what: Callable[[], Any], about: str, deadline: float = DEADLINE_S) -> Any:
    """Wait until `what()` is true; its value."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {deadline} s for {about}")


class Stage:
    """One event type on a shared broker, one lake of its own."""

    def __init__(self, kafka: str, home: Path, partitions: int = 1, prefix: str = "") -> None:
        self.kafka, self.home, self.partitions = kafka, home, partitions
        self.type = f"t{secrets.token_hex(4)}.{prefix or 'thing'}"
        self.topic = clean_topic(self.type)
        self.lake = home / "lake"
        self.lake_url, self.lake_options = f"file://{self.lake}", dict[str, str]()  # a test may say another one before it starts workers
        self.group = f"test-{secrets.token_hex(4)}"
        self._producer = Producer({"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5})
        admin = AdminClient({"bootstrap.servers": kafka})
        platform = [TopicSpec(n, c, platform_topic_config(n, 1)) for n, c in PLATFORM_PARTITIONS.items()]
        ensure_topics(admin, [*platform, TopicSpec(self.topic, partitions, event_topic_config(3_600_000, 1))])

    def send(self, partition: int, records: list[Clean]) -> None:
        """As the dedup worker does: in order, all acknowledged."""
        failed: list[Any] = []
        for value, headers in records:
            while True:
                try:
                    self._producer.produce(
                        self.topic,
                        value=value,
                        headers=list(headers),
                        partition=partition,
                        on_delivery=lambda e, _m: e and failed.append(e),
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
        assert self._producer.flush(30) == 0
        assert not failed

    def settings(self, **extra: Any) -> Settings:
        return Settings(
            kafka=self.kafka,
            lake_url=self.lake_url,
            lake_options=self.lake_options,
            home=self.home,
            group=self.group,
            session_timeout_ms=3000,
            profile="local",
            schema_wait_s=0.5,
            registry_url="http://127.0.0.1:1",
            **extra,
        )

    @contextlib.contextmanager
    def worker(self, *entries: EventType | WireSchema, seams: Seams | None = None, **extra: Any) -> Iterator[SinkWorker]:
        """A worker on a thread of this process. An exception of its is raised at the end."""
        seams = seams or Seams()
        worker = SinkWorker(self.settings(**extra), seams._replace(catalogue=seams.catalogue or FixedCatalogue(snapshot_of(*entries))))
        stop, died = threading.Event(), []

        def work() -> None:
            try:
                worker.run(stop)
            except Exception as exc:
                died.append(exc)

        thread = threading.Thread(target=work, name="sink-under-test", daemon=True)
        thread.start()
        try:
            yield worker
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive()
        if died:
            raise died[0]

    def process(self, *entries: EventType | WireSchema) -> subprocess.Popen[bytes]:
        """A worker as a process of its own, with a fixed catalogue."""
        catalogue = self.home / "catalogue.json"
        catalogue.write_bytes(snapshot_bytes(snapshot_of(*entries)))
        settings = {
            "kafka": self.kafka,
            "lake_url": self.lake_url,
            "lake_options": self.lake_options,
            "home": str(self.home),
            "group": self.group,
            "session_timeout_ms": 1500,
            "profile": "local",
        }
        with (self.home / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.sinks.process", json.dumps(settings), str(catalogue)],
                cwd=Path(__file__).parents[2],
                env=dict(os.environ),
                stdout=log,
                stderr=log,
            )

    # -- what a user finds

    def folder(self, hour: int) -> Path:
        return self.lake / layout.hour_folder(self.type, hour)

    def read_file(self, hour: int, name: str) -> bytes | None:
        return store_of(self).read(f"{layout.hour_folder(self.type, hour)}/{name}")

    def sealed(self, hour: int) -> bool:
        return self.read_file(hour, layout.SUCCESS) is not None

    def wait_sealed(self, *hours: int, deadline: float = DEADLINE_S) -> None:
        for hour in hours:
            eventually(lambda hour=hour: self.sealed(hour), f"hour {hour} of {self.type} to be sealed", deadline)

    def manifest(self, hour: int) -> Manifest:
        data = self.read_file(hour, layout.MANIFEST)
        assert data is not None
        return decode(Manifest, data)

    def table(self, hour: int) -> Any:
        """All rows of an hour, through its manifest."""
        import pyarrow as pa

        files = [pa.BufferReader(self.read_file(hour, file.name)) for file in self.manifest(hour).files]
        return pa.concat_tables([pq.ParquetFile(file).read() for file in files])

    def ids(self, hour: int) -> Counter[str]:
        return Counter(self.table(hour).column("_event_id").to_pylist())

    def files(self, hour: int) -> dict[str, bytes]:
        names = store_of(self).names(layout.hour_folder(self.type, hour))
        return {name: data for name in names if (data := self.read_file(hour, name)) is not None}

    def read(self, topic: str, found: Callable[[list[Any]], bool]) -> list[Any]:
        """Messages of a platform topic from its start, until `found` says enough (or the deadline passes)."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "test", "enable.auto.commit": False})
        try:
            partitions = range(len(consumer.list_topics(topic, 10).topics[topic].partitions))
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            messages: list[Any] = []
            end = time.monotonic() + DEADLINE_S
            while time.monotonic() < end and not found(messages):
                messages += [m for m in consumer.consume(500, 0.2) if m.error() is None]
            return messages
        finally:
            consumer.close()


def store_of(stage: Stage) -> Any:
    return open_store(stage.lake_url, stage.lake_options)
