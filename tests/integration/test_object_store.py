"""Sink workers whose lake is an object store: killed, doubled, with replies that get lost. Exact by id, every time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pytest

from hourmark.crashpoints import CRASH_AT
from sinks import layout
from sinks.lake import open_store
from tests.integration.test_sinks_faults import HOURS, check, load, stop
from tests.integration.test_sinks_hours import fill
from tests.sinks.fakes import HOUR, PAYLOAD, Feed, declared, wire_schema
from tests.sinks.stage import Stage, eventually, store_of
from tests.stores.faulty import FaultyStore, faulty_store, seeded
from tests.stores.s3 import S3Server, options_for

pytestmark = pytest.mark.real


@pytest.fixture
def stage(kafka: str, s3: S3Server, tmp_path: Path) -> Stage:
    made = Stage(kafka, tmp_path, partitions=2)
    made.lake_url, made.lake_options = s3.bucket(), s3.options
    return made


@pytest.fixture(scope="module")
def faulty(s3: S3Server) -> Iterator[FaultyStore]:
    with faulty_store(s3.url) as proxy:
        yield proxy


def declarations(stage: Stage) -> tuple[Any, Any]:
    schema = wire_schema(stage.type, 1, PAYLOAD)
    return schema, declared(stage.type, schema, 2)


def test_killed_at_random_times_under_load(stage: Stage) -> None:
    """Sealed hours are whole, and anybody's S3 client reads them."""
    rng, feeds = random.Random(7), [Feed(0), Feed(1)]
    entries = declarations(stage)
    loading = threading.Thread(target=load, args=(stage, feeds, entries[0], 0.1), daemon=True)
    children = [stage.process(*entries) for _ in range(2)]
    try:
        loading.start()
        for _ in range(3):
            time.sleep(rng.uniform(0.8, 1.6))
            victim = rng.randrange(2)
            children[victim].kill()
            children[victim].wait(10)
            children[victim] = stage.process(*entries)
        loading.join(60)
        stage.wait_sealed(*range(HOUR, HOUR + HOURS))
    finally:
        for child in children:
            stop(child)
    check(stage, feeds)
    rows = sum(len(stage.ids(hour)) for hour in range(HOUR, HOUR + HOURS))
    readable(stage, rows)
    assert said(stage, "fsck", stage.type)["findings"] == []
    assert [hour["state"] for hour in said(stage, "hours", stage.type)["hours"]][:HOURS] == ["sealed"] * HOURS
    assert said(stage, "query", f'SELECT count(*) AS n FROM "{stage.type}"') == [{"n": rows}]


def said(stage: Stage, *arguments: str) -> Any:
    """What the command line answers about this lake, with nothing but the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOURMARK_")}
    environment |= {"HOURMARK_LAKE_URL": stage.lake_url, "HOURMARK_LAKE_OPTIONS": json.dumps(stage.lake_options)}
    environment["HOURMARK_HOME"] = str(stage.home)
    done = subprocess.run([sys.executable, "-m", "cli", *arguments, "--json"], env=environment, capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)


def readable(stage: Stage, rows: int) -> None:
    """pyarrow's own S3 client and DuckDB over it, with nothing but the address."""
    bucket, _, prefix = stage.lake_url.removeprefix("s3://").partition("/")
    options = stage.lake_options
    files = fs.S3FileSystem(
        access_key=options["access_key_id"],
        secret_key=options["secret_access_key"],
        region=options["region"],
        endpoint_override=options["endpoint"].removeprefix("http://"),
        scheme="http",
    )
    dataset = ds.dataset(f"{bucket}/{prefix}/events/{stage.type}", filesystem=files, format="parquet")
    assert dataset.count_rows() == rows
    with duckdb.connect() as connection:
        connection.register("events", dataset)
        assert connection.execute("SELECT count(DISTINCT _event_id) FROM events").fetchone() == (rows,)


STEPS = ("sink.before_entry", "sink.decided", "sink.file_published", "sink.before_presenting")


def test_killed_at_every_step_and_finished_by_others(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker dies at another step of writing or publishing; whoever comes next goes on from there."""
    entries, feeds = declarations(stage), [Feed(0), Feed(1)]
    for feed in feeds:
        fill(feed, entries[0], HOUR, range(feed.partition * 1000, feed.partition * 1000 + 500))
        stage.send(feed.partition, [*feed.out, feed.barrier(HOUR)])
    for step in STEPS:
        monkeypatch.setenv(CRASH_AT, step)
        died = stage.process(*entries)
        assert died.wait(60) == -9, f"{step} was not reached"
    monkeypatch.delenv(CRASH_AT)
    with stage.worker(*entries):
        stage.wait_sealed(HOUR)
        stage.read("hourmark.sealed-hours", lambda found: any(stage.type.encode() in (m.key() or b"") for m in found))
    assert len(stage.ids(HOUR)) == 1000
    assert set(stage.ids(HOUR).values()) == {1}
    names = store_of(stage).names(layout.hour_folder(stage.type, HOUR))
    assert len(names) == 3, names


FAULTS = ("lost", "done_500", "500", "503", "cut", "409", "slow")


def test_a_store_that_fails_and_loses_replies(stage: Stage, faulty: FaultyStore) -> None:
    """One request in eight goes wrong, most of them after they were carried out. Two workers own everything, so they also race."""
    stage.lake_options = options_for(faulty.url, timeout="5s")
    entries, feeds = declarations(stage), [Feed(0), Feed(1)]
    loading = threading.Thread(target=load, args=(stage, feeds, entries[0], 0.02), daemon=True)
    faulty.faults = seeded(1, 0.125, FAULTS)
    try:
        with stage.worker(*entries):
            stage.group += "-other"
            with stage.worker(*entries):
                loading.start()
                loading.join(60)
                eventually(lambda: all_sealed(stage, faulty), "all hours to be sealed", 90)
    finally:
        faulty.faults = lambda _request: ""
    assert sum(faulty.seen.values()) > 20
    check(stage, feeds)


def all_sealed(stage: Stage, faulty: FaultyStore) -> bool:
    """Asked past the faults."""
    store = open_store(stage.lake_url, options_for(faulty.behind))
    return all(store.read(f"{layout.hour_folder(stage.type, hour)}/{layout.SUCCESS}") is not None for hour in range(HOUR, HOUR + HOURS))


def test_a_store_that_is_away_loses_nothing(stage: Stage, faulty: FaultyStore) -> None:
    stage.lake_options = options_for(faulty.url)
    entries, feed = declarations(stage), Feed(0)
    other = Feed(1)
    fill(feed, entries[0], HOUR, range(300))
    stage.send(0, [*feed.out, feed.barrier(HOUR)])
    stage.send(1, [*other.out, other.barrier(HOUR)])
    with stage.worker(*entries) as worker:
        stage.wait_sealed(HOUR)
        faulty.faults = lambda _request: "cut"
        at = len(feed.out)
        fill(feed, entries[0], HOUR + 1, range(300, 600))
        stage.send(0, [*feed.out[at:], feed.barrier(HOUR + 1)])
        stage.send(1, [other.barrier(HOUR + 1)])
        eventually(lambda: "lake_unavailable" in (worker.ready() or ""), "the worker to hold")
        faulty.faults = lambda _request: ""
        stage.wait_sealed(HOUR + 1)
    assert len(stage.ids(HOUR + 1)) == 300


def test_a_store_that_overwrites_stops_the_worker_at_start(stage: Stage, faulty: FaultyStore) -> None:
    stage.lake_options = options_for(faulty.url)
    faulty.faults = lambda _request: "overwrite"
    try:
        worker = stage.process(*declarations(stage))
        assert worker.wait(60) == 2
    finally:
        faulty.faults = lambda _request: ""
    said = (stage.home / "worker.log").read_text()
    assert "it overwrote an object that it had been asked to create only if absent" in said
    assert "Traceback" not in said
