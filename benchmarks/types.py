"""The shape of a large catalogue: many declared event types, nearly all idle, on a native stack of its own: `python -m benchmarks.types`.

What must not grow with the number of types: the time to declare one more, the CPU of a worker at rest, the delay of seals after an hour's
turn. Hours run in time-lapse; a real hour has the same work at its turn, 30 s for clock differences before it, and 3,600 s of rest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.end_to_end import cpu
from benchmarks.payload import PRIVACY
from benchmarks.trickle import fault, trickle
from cli.catalogue import Catalogue
from hourmark.hours import Hours, parse_label
from hourmark.topics import SEALED_HOURS, clean_topic
from local.settings import StackSettings
from local.stack import Stack
from local.status import StackStatus

CONNECTIONS = 64
SEND_EVERY_S = 0.1
PATIENCE_S = 240.0
EMPTY_S = 10.0
SHORTEST_S = 0.5  # when the turn of an hour takes nearly all of it: the figures are then worth little
TURN_S = 1.5  # nothing is measured so close to the end of an hour
FIELDS: list[dict[str, Any]] = [{"name": "user_id", "type": "string"}, {"name": "ms", "type": "long"}, {"name": "on", "type": "boolean"}]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is built. `busy`: share of the types that get events, `rate` a second in all. `rest_s`: length of the CPU windows at most."""

    types: int = 600
    partitions: int = 4
    busy: float = 0.1
    rate: int = 1_500
    dedup_workers: int = 2
    dedup_shards: int = 1
    sink_workers: int = 2
    hour_seconds: int = 100
    rest_s: float = 60.0


def main(types: int = 600, tell: Callable[[str], None] = lambda _line: None, **other: Any) -> dict[str, Any]:
    """Times in s, CPU in % of one core by process, memory in MB by process. Other arguments are fields of `Shape`."""
    shape = Shape(types=types, **other)
    home = Path(tempfile.mkdtemp(prefix="hourmark-shape-"))
    settings = StackSettings(
        home=home,
        hour_seconds=shape.hour_seconds,
        dedup_workers=shape.dedup_workers,
        dedup_shards=shape.dedup_shards,
        sink_workers=shape.sink_workers,
        kafka_heap_mb=1024,
    )
    stack = Stack(settings)
    try:
        started = time.monotonic()
        stack.up(bound=True)
        up = time.monotonic() - started
        return {"stage": "types", "shape": vars(shape), "start_up_s": up, **Run(stack.status(), shape, tell).measured()}
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


class Run:
    """One stack under measurement."""

    def __init__(self, status: StackStatus, shape: Shape, tell: Callable[[str], None]) -> None:
        self._status, self._shape, self._tell = status, shape, tell
        stem = secrets.token_hex(2)
        self._names = [f"shape{stem}.t{number:04d}" for number in range(shape.types)]
        self._hours = Hours(status.hour_seconds, parse_label(status.hour_anchor) if status.hour_anchor else 0)
        self._processes = {p.name: psutil.Process(p.pid) for p in status.processes if p.pid}

    def measured(self) -> dict[str, Any]:
        before, empty = self._memory(), self._cpu(min(EMPTY_S, self._shape.rest_s))
        declared = self._declare(self._names)
        self._tell(f"declared {len(self._names)} event types in {declared['seconds']:.1f} s; the hour turns in {self._left_s():.0f} s")
        with sealed_hours(self._status.kafka) as sealed:
            first = self._turn(sealed)
            resting = self._rest()
            second = self._turn(sealed)
            with self._trickle():
                busy = self._rest()
                third = self._turn(sealed)
                one_more = [self._one_more(number) for number in range(3)]
            after = self._memory()
            return {
                "declare": declared,
                "empty_cpu": empty,
                "idle_cpu": resting,
                "busy_cpu": busy,
                "rss_mb": after,
                "rss_mb_before": before,
                "kb_per_type": {name: (after[name] - before[name]) * 1000 / self._shape.types for name in after},
                "rows": sum(rows for _, rows in sealed.values()),
                "seal": {"declared in this hour": first, "all idle": second, "some busy": third},
                "one_more": {key: statistics.median(found[key] for found in one_more) for key in one_more[0]},
            }

    def _memory(self) -> dict[str, float]:
        return {name: process.memory_info().rss / 1e6 for name, process in self._processes.items()}

    def _declare(self, names: Sequence[str]) -> dict[str, float]:
        started = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(self._one, names))
        stored = time.monotonic() - started
        self._until_applied(max(answer["revision"] for answer in answers))
        applied, stages = time.monotonic() - started, [stage for answer in answers for stage in answer["stages"]]
        slowest = {f"{name}_most_s": max(s["ms"] for s in stages if s["stage"] == name) / 1000 for name in {s["stage"] for s in stages}}
        return {"seconds": stored, "applied_s": applied, **slowest}

    def _one(self, name: str, wait: float = 0.0) -> dict[str, Any]:
        schema = {"type": "record", "name": name.rpartition(".")[2], "fields": FIELDS}
        document = {"event": name, "owner": "bench", "partitions": self._shape.partitions, "schema": schema, "privacy": PRIVACY}
        return Catalogue(self._status.registry, timeout=PATIENCE_S).declare(name, document, wait)

    def _until_applied(self, revision: int) -> None:
        ask = Catalogue(self._status.registry)
        _until(
            f"revision {revision} on all nodes",
            lambda: all(node["revision"] >= revision for node in ask.ask("GET", "/v1/nodes")["nodes"] if node["live"]),
        )

    def _hour(self) -> int:
        return self._hours.of(int(time.time() * 1000))

    def _left_s(self) -> float:
        """Seconds until this hour ends."""
        return self._hours.end_ms(self._hour()) / 1000 - time.time()

    def _rest(self) -> dict[str, float]:
        """CPU by process until this hour ends, or as long as asked for. To be called when all that its turn brought is done."""
        seconds = max(SHORTEST_S, min(self._shape.rest_s, self._left_s() - TURN_S))
        self._tell(f"measuring CPU for {seconds:.0f} s; the hour turns in {self._left_s():.0f} s")
        return self._cpu(seconds)

    def _cpu(self, seconds: float) -> dict[str, float]:
        """% of one core by process, over so many seconds."""
        started, used = time.monotonic(), {name: cpu(process) for name, process in self._processes.items()}
        time.sleep(seconds)
        passed = time.monotonic() - started
        return {name: (cpu(process) - used[name]) / passed * 100 for name, process in self._processes.items()}

    def _turn(self, sealed: Sealed) -> dict[str, float]:
        """Wait for the end of this hour; the delays of its seals."""
        hour = self._hour()
        time.sleep(self._left_s() + 0.05)
        return self._delays(sealed, hour)

    def _delays(self, sealed: Sealed, hour: int) -> dict[str, float]:
        """Seconds from the hour's end until each type's hour was announced."""
        _until(f"all types sealed up to hour {hour}", lambda: sum((name, hour) in sealed for name in self._names) == len(self._names))
        end = self._hours.end_ms(hour)
        found = sorted((sealed[name, hour][0] - end) / 1000 for name in self._names)
        self._tell(f"all sealed {found[-1]:.1f} s after the end of the hour")
        return {"p50_s": found[len(found) // 2], "p99_s": found[min(len(found) - 1, len(found) * 99 // 100)], "last_s": found[-1]}

    def _one_more(self, number: int) -> dict[str, float]:
        """From the request that declares a type until a worker has forwarded its first event."""
        name = f"{self._names[0].partition('.')[0]}.more{number}"
        started = time.monotonic()
        self._one(name)
        declared = time.monotonic() - started
        connection = http.client.HTTPConnection(urlsplit(self._status.receiver).netloc, timeout=30)
        if wrong := fault(connection, self._status.write_key, [_event(name, 0)]):
            raise RuntimeError(wrong)
        stored = time.monotonic() - started
        with _tail(self._status.kafka, clean_topic(name), self._shape.partitions) as consumer:
            _until(f"an event of {name}", lambda: any(found.value() for found in consumer.consume(100, 0.05) if not found.error()))
        return {"declared_s": declared, "stored_s": stored, "flows_s": time.monotonic() - started}

    def _trickle(self) -> AbstractContextManager[list[int]]:
        """Events of a tenth of the types, in the background. Raises RuntimeError at the end when some were not stored."""
        names = self._names[: max(1, round(len(self._names) * self._shape.busy))]
        receiver = urlsplit(self._status.receiver).netloc
        return trickle(receiver, self._status.write_key, self._shape.rate, lambda n: _event(names[n % len(names)], n), SEND_EVERY_S)


Sealed = Mapping[tuple[str, int], tuple[int, int]]


@contextmanager
def sealed_hours(kafka: str) -> Iterator[Sealed]:
    """(type, hour) → append time in ms of its first announcement, and its rows; grows in the background."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    ended = threading.Event()

    def run(consumer: Consumer) -> None:
        while not ended.is_set():
            for message in consumer.consume(1000, 0.2):
                if not message.error():
                    said = json.loads(message.value() or b"{}")
                    found.setdefault((said["type"], parse_label(said["hour"])), (message.timestamp()[1], said["rows"]))

    with _tail(kafka, SEALED_HOURS, 1) as consumer:
        thread = threading.Thread(target=run, args=(consumer,))
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()


@contextmanager
def _tail(kafka: str, topic: str, partitions: int) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-shape", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    try:
        yield consumer
    finally:
        consumer.close()


def _event(event_type: str, number: int) -> dict[str, Any]:
    payload = {"user_id": f"user-{number % 1000:06d}", "ms": number * 7919 % 300_000, "on": number % 3 == 0}
    return {"type": event_type, "id": str(uuid.uuid4()), "time": "2026-03-01T06:59:58Z", "seq": number, "attempt": 1, "payload": payload}


def _until(what: str, done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.05)


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in vars(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    json.dump(main(**vars(parser.parse_args()), tell=lambda line: print(line, file=sys.stderr)), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    _command_line()
