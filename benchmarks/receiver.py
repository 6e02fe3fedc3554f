"""What the receiver costs: events per second and CPU microseconds per event, beside a bare producer that sends values of the same size.

`python -m benchmarks.receiver [--kafka host:port] [--seconds N] [--json]`. The receiver, the bare loop and the load generator are processes
of their own; CPU is what the operating system charges the receiver's process, its threads included. Three rounds, medians.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from hourmark.event import ENVELOPE
from hourmark.kafka import TopicSpec, ensure_topics
from hourmark.schemas import EMPTY, EventType, Snapshot, WireSchema, WriteKey, avro_text, entry_key, snapshot_bytes, token_digest
from hourmark.topics import NODES, event_topic_config, platform_topic_config, raw_topic

EVENT_TYPE = "bench.song_played"
TOKEN = "bench"
PARTITIONS = 8
ROUNDS = 3
FIELDS: list[dict[str, Any]] = [
    {"name": "track", "type": "string"},
    {"name": "artist", "type": "string"},
    {"name": "ms_played", "type": "long"},
    {"name": "shuffle", "type": "boolean"},
    {"name": "volume", "type": "double"},
    {"name": "country", "type": ["null", "string"], "default": None},
    {"name": "position", "type": "long"},
]


def catalogue() -> Snapshot:
    """One event type of 17 columns and one write key."""
    entries = (
        WireSchema(
            revision=1,
            schema_id=1,
            event=EVENT_TYPE,
            version=1,
            fingerprint="",
            text=avro_text({"type": "record", "name": "SongPlayed", "namespace": "bench", "fields": [*ENVELOPE, *FIELDS]}),
        ),
        EventType(revision=1, event=EVENT_TYPE, owner="bench", tier="critical", schema_id=1, partitions=PARTITIONS),
        WriteKey(revision=1, name="bench", token_sha256=token_digest(TOKEN)),
    )
    return EMPTY.with_changes((entry_key(entry), entry) for entry in entries)


def request(host: str, events: int) -> bytes:
    """One request, ready for the wire: about 290 bytes an event."""
    payload = {
        "track": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
        "artist": "Rick Astley",
        "ms_played": 31000,
        "shuffle": True,
        "volume": 0.75,
        "country": "SE",
        "position": 123456,
    }
    batch = [
        {
            "type": EVENT_TYPE,
            "id": str(uuid.uuid4()),
            "time": f"2026-03-01T06:59:58.{n:06d}Z",
            "seq": 5000 + n,
            "attempt": 1,
            "payload": payload,
        }
        for n in range(events)
    ]
    envelope = {
        "sdk": {"name": "hourmark-python", "version": "0.1.0"},
        "app": "web",
        "install": "6f1c2d3e",
        "sent_at": "2026-03-01T07:00:00Z",
    }
    body = json.dumps({**envelope, "events": batch}, separators=(",", ":")).encode()
    head = f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def load(url: str, events: int, connections: int, seconds: float) -> int:
    """Send requests over some connections, one after the other on each, and count the events that were answered 200."""
    parts = urlsplit(url)
    requests = [request(parts.netloc, events) for _ in range(min(connections, 16))]
    chosen = selectors.DefaultSelector()
    for number in range(connections):
        line = socket.create_connection((parts.hostname or "", parts.port or 80))
        line.sendall(requests[number % len(requests)])
        chosen.register(line, selectors.EVENT_READ, _Answer(requests[number % len(requests)]))
    done, end = 0, time.monotonic() + seconds
    while chosen.get_map():
        for ready, _ in chosen.select(1.0):
            line = ready.fileobj  # type: ignore[assignment]
            state: _Answer = ready.data
            if not state.feed(line.recv(1 << 20)):
                continue
            done += events
            if time.monotonic() < end:
                line.sendall(state.request)
            else:
                chosen.unregister(line)
                line.close()
    return done


class _Answer:
    """Reads one answer after the other off a connection."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self._data = b""
        self._missing = -1

    def feed(self, data: bytes) -> bool:
        """True when an answer is complete."""
        if not data:
            raise ConnectionError("the receiver closed the connection")
        self._data += data
        if self._missing < 0:
            head, found, _ = self._data.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise ValueError(self._data[:500].decode())
            length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            self._missing = len(head) + 4 + int(length)
        if len(self._data) < self._missing:
            return False
        if self._data.count(b'"stored"') == 0:
            raise ValueError(self._data[:500].decode())
        self._data, self._missing = b"", -1
        return True


def bare(kafka: str, seconds: float) -> int:
    """The same values through confluent_kafka alone: produce with a callback each, at most 20,000 on their way."""
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 3, "compression.type": "lz4"})
    value = (
        b"\x00\x00\x00\x00\x01" + os.urandom(16) + b"spotify:track:4uLU6hMCjMI75M1A2tKUQC Rick Astley hourmark-python 0.1.0 web" + bytes(45)
    )
    keys = [os.urandom(16) for _ in range(500)]
    sent = done = 0

    def stored(error: object, message: Any) -> None:
        nonlocal done
        if error is not None:
            raise RuntimeError(str(error))
        message.offset()
        done += 1

    end = time.monotonic() + seconds
    topic = raw_topic(EVENT_TYPE)
    while time.monotonic() < end or done < sent:
        if time.monotonic() < end and sent - done < 20_000:
            for number, key in enumerate(keys):
                producer.produce(topic, value, key, number % PARTITIONS, stored)
            sent += len(keys)
            producer.poll(0)
        else:
            producer.poll(0.001)
    return done


@contextlib.contextmanager
def receiver(kafka: str) -> Iterator[tuple[str, psutil.Process]]:
    """A receiver process of its own, with its catalogue on disk and no registry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        snapshots = Path(home) / "snapshots"
        snapshots.mkdir()
        (snapshots / "receiver.json").write_bytes(snapshot_bytes(catalogue()))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")} | {
            "HOURMARK_KAFKA": kafka,
            "HOURMARK_HOME": home,
            "HOURMARK_RECEIVER_LISTEN": f"127.0.0.1:{port}",
            "HOURMARK_LOG_FORMAT": "console",
        }
        process = subprocess.Popen([sys.executable, "-m", "receiver"], env=environ, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_ready(url, process)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError("the receiver did not become ready")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _child(*arguments: str) -> dict[str, float]:
    """Run a part of this module in a process of its own; it prints its figures as JSON."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.receiver", *arguments], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _measure(url: str, process: psutil.Process, events: int, connections: int, seconds: float) -> dict[str, float]:
    before = _cpu(process)
    sent = _child("--load", url, str(events), str(connections), str(seconds))
    cpu = _cpu(process) - before
    return {"rate": sent["events"] / sent["seconds"], "cpu_us": cpu / sent["events"] * 1e6}


def main(kafka: str, seconds: float = 4.0) -> dict[str, Any]:
    """Medians of three rounds: `batch_500`, `single` and `bare` each with events/s and CPU µs per event; ratios to the bare loop."""
    specs = [
        TopicSpec(raw_topic(EVENT_TYPE), PARTITIONS, event_topic_config(3_600_000, 1)),
        TopicSpec(NODES, 1, platform_topic_config(NODES, 1)),
    ]
    ensure_topics(AdminClient({"bootstrap.servers": kafka}), specs)
    rounds: list[dict[str, dict[str, float]]] = []
    with receiver(kafka) as (url, process):
        for _ in range(ROUNDS):
            rounds.append(
                {
                    "bare": _child("--bare", kafka, str(seconds)),
                    "batch_500": _measure(url, process, 500, 8, seconds),
                    "single": _measure(url, process, 1, 64, seconds),
                }
            )
        rss = process.memory_info().rss
    found: dict[str, Any] = {
        part: {name: round(statistics.median(one[part][name] for one in rounds), 2) for name in ("rate", "cpu_us")} for part in rounds[0]
    }
    for part in ("batch_500", "single"):
        found[part]["per_core"] = round(1e6 / found[part]["cpu_us"])
        found[part]["ratio_to_bare"] = round(found["bare"]["cpu_us"] / found[part]["cpu_us"], 3)
    return found | {"rss_mb": round(rss / 1e6), "rounds": rounds}


def _run_part(arguments: list[str]) -> None:
    started = time.monotonic()
    if arguments[0] == "--load":
        url, events, connections, seconds = arguments[1:]
        done = load(url, int(events), int(connections), float(seconds))
        print(json.dumps({"events": done, "seconds": time.monotonic() - started}))
        return
    before = time.process_time()
    done = bare(arguments[1], float(arguments[2]))
    print(json.dumps({"rate": done / (time.monotonic() - started), "cpu_us": (time.process_time() - before) / done * 1e6}))


def _show(found: dict[str, Any]) -> None:
    print(f"{'':14}{'events/s':>12}{'CPU µs/event':>14}{'events/s/core':>15}{'of bare':>9}")
    for part in ("bare", "batch_500", "single"):
        row = found[part]
        core = round(1e6 / row["cpu_us"])
        print(f"{part:14}{row['rate']:>12,.0f}{row['cpu_us']:>14.2f}{core:>15,}{row.get('ratio_to_bare', 1.0):>9.2f}")
    print(f"receiver RSS {found['rss_mb']} MB")


if __name__ == "__main__":
    if sys.argv[1:2] in (["--load"], ["--bare"]):
        _run_part(sys.argv[1:])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--kafka", default=os.environ.get("HOURMARK_KAFKA", "127.0.0.1:9092"))
        parser.add_argument("--seconds", type=float, default=4.0)
        parser.add_argument("--json", action="store_true")
        chosen = parser.parse_args()
        figures = main(chosen.kafka, chosen.seconds)
        print(json.dumps(figures)) if chosen.json else _show(figures)
