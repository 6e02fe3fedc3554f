"""A catalogue of ten thousand event types: how long it takes to list, to publish, and to start by: `python -m benchmarks.catalogue`.

The store is filled by hand and the topics of the event types do not exist: what Kafka itself needs for twenty thousand topics is in none
of these figures. The control topic is real, and written by the registry.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from sqlalchemy import insert

from hourmark.schemas import EventType, WireSchema, avro_text, encode_entry, entry_key
from local.kafka import KafkaServer
from local.ports import HOST, free_port
from local.server import bound_to_parent, spawn
from registry.compile import fingerprint, wire_schema
from registry.database import Database
from registry.declaration import read
from registry.tables import events, outbox, schemas

TIMES = 9
FIELDS = 12
PATIENCE_S = 120.0
# Runs the registry without the topics of event types: it believes that they stand.
WITHOUT_TOPICS = """
from registry import app, provision
class Standing(provision.Provisioner):
    def standing(self, events):
        return {f"{stage}.{event}": 64 for event in events for stage in ("clean", "raw")}
    def correct(self, wanted):
        pass
app.Provisioner = Standing
from registry.__main__ import main
from registry.settings import Settings
from hourmark.runtime import run
from hourmark.settings import load
run("registry", lambda: load(Settings), main)
"""
# Starts as every node does, and tells when its snapshot was usable and when it had read the topic.
NODE = """
import json, os, sys, time
started = time.monotonic()
import psutil
from pathlib import Path
from hourmark.control import ControlTail
from hourmark.settings import PlatformSettings
before, begun = psutil.Process().memory_info().rss, time.monotonic()
tail = ControlTail(PlatformSettings(kafka=sys.argv[1], home=Path(sys.argv[2])), "bench").start()
disk = time.monotonic() - begun
loaded = len(tail.snapshot.types)
assert tail.caught_up.wait(60)
topic = time.monotonic() - begun
grown = psutil.Process().memory_info().rss - before
said = {"imports_s": begun - started, "from_disk": loaded, "disk_s": disk, "topic_s": topic, "types": len(tail.snapshot.types)}
print(json.dumps({**said, "rss_mb": grown / 1e6}))
tail.close()
"""


def main(types: int = 10_000, tell: Callable[[str], None] = lambda _line: None) -> dict[str, Any]:
    """Seconds, milliseconds where the name says so, MB."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-catalogue-"))
    server = KafkaServer(home / "kafka", heap_mb=512)
    try:
        server.start()
        started = time.monotonic()
        filled = fill(f"sqlite:///{home / 'registry.db'}", types)
        tell(f"filled a store with {types} event types in {time.monotonic() - started:.1f} s")
        with registry(server.bootstrap, home) as first:
            listed = first.listed(types)
            nodes = [node(server.bootstrap, home) for _ in range(2)]  # the first one leaves its snapshot on the disk
            receiver = receiver_start(server.bootstrap, home)
            change = first.changes(filled[0])
        with registry(server.bootstrap, home) as again:
            restarted = {"served_s": again.served_s, "ready_s": again.ready_s, "rss_mb": again.rss_mb()}
        return {
            "stage": "catalogue",
            "shape": {"types": types, "fields": FIELDS},
            "registry_first_start": {"served_s": first.served_s, "ready_s": first.ready_s, "published_s": first.published_s},
            "registry_start": restarted,
            "list": listed,
            "node_start": {"without_snapshot": nodes[0], "with_snapshot": nodes[1], "receiver_ready_s": receiver},
            "one_change_ms": change,
        }
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def fill(url: str, types: int) -> list[dict[str, Any]]:
    """Rows of so many event types as `Store.commit` would write them, and nothing published. Returns the first declarations."""
    documents = [_document(number) for number in range(types)]
    rows: dict[Any, list[dict[str, Any]]] = {schemas: [], events: [], outbox: []}
    for number, document in enumerate(documents):
        for table, row in _rows(number, document):
            rows[table].append(row)
    database = Database(url)
    database.migrate()
    with database.writing() as connection:
        for table, found in rows.items():
            connection.execute(insert(table), found)
    database.close()
    return documents[:TIMES]


def _document(number: int) -> dict[str, Any]:
    name = "what it holds, and what it means to those who read it"
    fields = [{"name": f"field_number_{n}", "type": ["null", "string"], "default": None, "doc": name} for n in range(FIELDS)]
    payload = {"type": "record", "name": "Happened", "fields": fields}
    written = {"event": f"many.t{number:05d}", "owner": f"team-{number % 50}", "description": "What happened, and when.", "schema": payload}
    return {**_defaults(), **written}


@cache
def _defaults() -> dict[str, Any]:
    """What a declaration says when nothing is said."""
    plain = {"event": "any.thing", "owner": "bench", "schema": {"type": "record", "name": "P", "fields": [{"name": "n", "type": "long"}]}}
    return read(plain).document()


def _rows(number: int, document: dict[str, Any]) -> Iterable[tuple[Any, dict[str, Any]]]:
    name, schema_id, revision = document["event"], number + 1, 2 * number + 1
    wire = wire_schema(name, document["schema"])
    entry = EventType(revision=revision + 1, event=name, owner=document["owner"], schema_id=schema_id, partitions=4)
    schema = WireSchema(revision=revision, schema_id=schema_id, event=name, version=1, fingerprint=fingerprint(wire), text=avro_text(wire))
    texts = {"fingerprint": schema.fingerprint, "avro": json.dumps(wire), "payload": json.dumps(document["schema"])}
    yield schemas, {"id": schema_id, "event": name, "version": 1, **texts}
    shown = {"owner": entry.owner, "description": document["description"], "tier": entry.tier, "lifecycle": entry.lifecycle}
    facts = {"revision": entry.revision, "schema_id": schema_id, "schema_version": 1, "partitions": 4, "source": 1}
    yield events, {"event": name, "folded": name.replace(".", "_"), **shown, **facts, "document": json.dumps(document)}
    for told in (schema, entry):
        yield outbox, {"revision": told.revision, "key": entry_key(told), "value": encode_entry(told)}


class Serving:
    """A running registry. `served_s`, `ready_s`: since its process was started; `published_s`: since it was ready."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process = process
        self._address = address
        started = time.monotonic()
        _until("the registry serves", lambda: self._ask("/healthz")[0] == 200)
        self.served_s = time.monotonic() - started
        _until("the registry is ready", lambda: self._ask("/readyz")[0] == 200)
        self.ready_s = time.monotonic() - started
        _until("all is published", lambda: b"outbox_unpublished 0.0" in self._ask("/metrics")[1])
        self.published_s = time.monotonic() - started - self.ready_s

    def rss_mb(self) -> float:
        return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6

    def listed(self, types: int) -> dict[str, float]:
        """Milliseconds over HTTP, the median."""
        assert len(json.loads(self._ask(f"/v1/events?limit={types}")[1])["events"]) == types
        paths = {
            "all": f"/v1/events?limit={types}",
            "page of 1,000": "/v1/events?limit=1000&after=many.t05000",
            "search": "/v1/events?q=team-7",
        }
        paths |= {"one": "/v1/events/many.t05000", "control since the newest": "/v1/control?since=19990"}
        return {f"{what} ms": _median_ms(partial(self._ask, path)) for what, path in paths.items()}

    def changes(self, document: dict[str, Any]) -> dict[str, float]:
        """Milliseconds of one change, by stage, the median."""
        took: dict[str, list[float]] = {}
        for number in range(TIMES):
            changed = {**document, "description": f"Changed for the {number}th time."}
            status, body = self._ask(f"/v1/events/{document['event']}", "PUT", json.dumps(changed))
            if status not in (200, 201):
                raise RuntimeError(f"a change was refused: {status} {body[:300]!r}")
            for stage in json.loads(body)["stages"]:
                took.setdefault(stage["stage"], []).append(stage["ms"])
        return {stage: statistics.median(times) for stage, times in took.items()}

    def _ask(self, path: str, method: str = "GET", body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()


@contextmanager
def registry(kafka: str, home: Path) -> Iterator[Serving]:
    address = f"{HOST}:{free_port()}"
    told = {"HOURMARK_KAFKA": kafka, "HOURMARK_HOME": str(home), "HOURMARK_REGISTRY_LISTEN": address}
    told |= {"HOURMARK_REGISTRY_LOCAL_WRITE_KEY": "hm_bench"}
    with (home / "registry.log").open("ab") as log:
        argv = bound_to_parent([sys.executable, "-c", WITHOUT_TOPICS])
        process = spawn(argv, env={**os.environ, **told}, stdout=log, stderr=log)
    try:
        yield Serving(process, address)
    finally:
        process.terminate()
        process.wait(30)


def node(kafka: str, home: Path) -> dict[str, float]:
    """A node's start in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", NODE, kafka, str(home)], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def receiver_start(kafka: str, home: Path) -> float:
    """Seconds from the start of a receiver's process until it is ready, with a snapshot on the disk."""
    snapshots = home / "snapshots"
    shutil.copyfile(snapshots / "bench.json", snapshots / "receiver.json")
    address, page = f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"
    told = {"HOURMARK_KAFKA": kafka, "HOURMARK_HOME": str(home), "HOURMARK_RECEIVER_LISTEN": address, "HOURMARK_METRICS_LISTEN": page}
    started = time.monotonic()
    with (home / "receiver.log").open("ab") as log:
        process = spawn(bound_to_parent([sys.executable, "-m", "receiver"]), env={**os.environ, **told}, stdout=log, stderr=log)
    try:
        _until("the receiver is ready", lambda: _status(address, "/readyz") == 200)
        return time.monotonic() - started
    finally:
        process.terminate()
        process.wait(30)


def _status(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(f"//{address}").netloc, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _median_ms(act: Callable[[], Any]) -> float:
    took = []
    for _ in range(TIMES):
        started = time.monotonic()
        act()
        took.append((time.monotonic() - started) * 1000)
    return statistics.median(took)


def _until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {PATIENCE_S:.0f} s")
        time.sleep(0.02)


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", type=int, default=10_000)
    json.dump(main(**vars(parser.parse_args()), tell=lambda line: print(line, file=sys.stderr)), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    _command_line()
