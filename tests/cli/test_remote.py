"""`hourmark query` over a lake in an object store: the same answers as over a local one, and words when the store has none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hourmark.hours import parse_label
from sinks.lake import open_store
from tests.cli.conftest import Command
from tests.cli.lakes import add_hour
from tests.stores.faulty import FaultyStore, faulty_store
from tests.stores.s3 import S3Server, options_for

SEVEN = parse_label("2026-03-01T07")


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyStore]:
    with faulty_store(s3.url) as made:
        yield made


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, s3: S3Server, proxy: FaultyStore) -> str:
    place, url = tmp_path / "lake", s3.bucket()
    add_hour(place, "flight.departed", SEVEN, [{"_event_id": "a", "delay": 3}, {"_event_id": "b", "delay": 5}])
    add_hour(place, "flight.departed", SEVEN + 1, [{"_event_id": "c", "delay": 7, "gate": "A1"}])
    (add_hour(place, "flight.departed", SEVEN + 2, [{"_event_id": "d"}]) / "_SUCCESS").unlink()
    store = open_store(url, s3.options)
    for file in place.rglob("*"):
        if file.is_file():
            store.create(str(file.relative_to(place)), file.read_bytes())
    monkeypatch.setenv("HOURMARK_LAKE_URL", url)
    monkeypatch.setenv("HOURMARK_LAKE_OPTIONS", json.dumps(options_for(proxy.url)))
    return url


def test_sealed_hours_are_read_by_ranges(lake: str, command: Command, proxy: FaultyStore) -> None:
    asked: list[str] = []
    proxy.faults = lambda request: asked.append(f"{request.method} {request.headers.get('Range', '')}") or ""
    for name in ("flight_departed", '"flight.departed"'):
        said = command("query", f"SELECT count(*) AS n, sum(delay) AS delay, max(gate) AS gate FROM {name}", "--json")
        assert (said.code, json.loads(said.out)) == (0, [{"n": 3, "delay": 15, "gate": "A1"}])
    assert any(line.startswith("GET bytes=") for line in asked)
    assert not any(line.startswith(("PUT", "POST", "DELETE")) for line in asked), "reading must not need the right to write"


def test_what_went_wrong_is_said(lake: str, command: Command, proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    said = command("query", "SELECT * FROM flight_departd")
    assert said.code == 2
    assert "did you mean flight_departed?" in said.err
    proxy.faults = lambda request: "403" if "Range" in request.headers else ""
    said = command("query", "SELECT * FROM flight_departed")
    assert said.code == 3
    assert "AccessDenied" in said.err
    monkeypatch.setenv("HOURMARK_LAKE_URL", "s3://no-such-bucket-here/x")
    said = command("query", "SELECT 1")
    assert said.code == 3
    assert "NoSuchBucket" in said.err
    monkeypatch.setenv("HOURMARK_LAKE_OPTIONS", "{")
    assert command("query", "SELECT 1").code == 2
