"""A lake that cannot create only if absent is refused before anything is read, in words; one that is away is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from hourmark.errors import LakeUnavailable, SettingsError
from sinks import object_store
from sinks.disk import DiskStore
from sinks.lake import open_store
from sinks.object_store import ObjectStore
from sinks.probe import await_fit, prove
from tests.sinks.fakes import DictStore
from tests.stores.faulty import FaultyStore, faulty_store
from tests.stores.s3 import S3Server, options_for


@pytest.fixture
def faulty(s3: S3Server) -> Iterator[FaultyStore]:
    with faulty_store(s3.url) as proxy:
        yield proxy


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.bucket()


def through(faulty: FaultyStore, url: str) -> ObjectStore:
    store = open_store(url, options_for(faulty.url))
    assert isinstance(store, ObjectStore)
    return store


def refusal(store: Any, url: str = "s3://bucket/x") -> str:
    stop = threading.Event()
    patience = threading.Timer(60, stop.set)
    patience.start()
    with pytest.raises(SettingsError) as refused:
        await_fit(store, url, stop)
    patience.cancel()
    return str(refused.value)


def test_good_stores_pass_and_nothing_is_left(s3: S3Server, url: str, tmp_path: Any) -> None:
    for store in (open_store(url, s3.options), DiskStore(tmp_path), DictStore()):
        prove(store, url)
        assert store.names("meta/staging") == []


def test_a_store_that_overwrites_is_refused(faulty: FaultyStore, url: str) -> None:
    faulty.faults = lambda _request: "overwrite"
    said = refusal(through(faulty, url), url)
    assert "it overwrote an object that it had been asked to create only if absent" in said
    assert url in said
    assert "lost or doubled" in said
    assert "docs/lake-stores.md" in said


def test_a_store_that_looks_first_and_writes_then_is_refused(faulty: FaultyStore, url: str) -> None:
    faulty.faults = lambda _request: "look_first"
    assert "4 of 4 writers at once were told that they had created the same object" in refusal(through(faulty, url))


def test_a_store_that_knows_no_conditions_is_refused(faulty: FaultyStore, url: str) -> None:
    faulty.faults = lambda request: "501" if "If-None-Match" in request.headers else ""
    assert "cannot create an object only if it is absent" in refusal(through(faulty, url))


def test_a_bucket_that_does_not_exist(s3: S3Server) -> None:
    store = open_store("s3://no-such-bucket-anywhere/x", s3.options)
    assert "the bucket or container does not exist" in refusal(store)
    with pytest.raises(LakeUnavailable, match="NoSuchBucket"):
        store.read("meta/seals/t.x/2026-01-01T00.json")  # and is no lake without that file


def test_credentials_that_are_refused(faulty: FaultyStore, url: str) -> None:
    faulty.faults = lambda _request: "403"
    said = refusal(through(faulty, url))
    assert "refuses these credentials" in said
    assert "not-a-secret" not in said


def test_a_store_that_is_away_is_waited_for(faulty: FaultyStore, url: str) -> None:
    answers = iter(["cut"] * 5)
    faulty.faults = lambda _request: next(answers, "")
    await_fit(through(faulty, url), url, threading.Event())
    assert faulty.seen["cut"] == 5


def test_waiting_ends_when_the_worker_is_stopped(faulty: FaultyStore, url: str) -> None:
    stop = threading.Event()

    def away(_request: web.Request) -> str:
        stop.set()
        return "cut"

    faulty.faults = away
    await_fit(through(faulty, url), url, stop)


def test_lost_replies_do_not_make_a_good_store_look_bad(faulty: FaultyStore, url: str) -> None:
    """The client asks again by itself, and is told that the object exists: its own."""
    for kind in ("lost", "done_500"):
        puts: list[str] = []

        def some_puts(request: web.Request, puts: list[str] = puts, kind: str = kind) -> str:
            puts += [request.path] * (request.method == "PUT")
            return kind if request.method == "PUT" and len(puts) % 4 == 1 else ""

        faulty.faults = some_puts
        await_fit(through(faulty, url), url, threading.Event())
        assert faulty.seen[kind] > 1


def test_large_files_go_another_way_where_copies_are_not_conditional(
    faulty: FaultyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = through(faulty, url)
    prove(store, url)
    assert store.copies
    faulty.faults = lambda request: "overwrite" if request.method == "POST" else ""
    prove(store, url)
    assert not store.copies
    monkeypatch.setattr(object_store, "SINGLE", 1 << 20)
    large = bytes(2 << 20)
    stored = store.write("parts/large", lambda file: file.write(large))
    assert store.write("parts/large", lambda file: file.write(b"x")) == stored
