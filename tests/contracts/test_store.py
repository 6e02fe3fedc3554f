"""What every lake must do, whatever it is made of.

HOURMARK_TEST_LAKE_URL (and _OPTIONS, JSON) put one more store to it: a bucket of yours, which is left with a few small objects.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest
from obstore.store import MemoryStore

from hourmark.errors import LakeUnavailable, SettingsError
from hourmark.settings import load
from sinks import object_store
from sinks.disk import DiskStore
from sinks.lake import open_store
from sinks.layout import MANIFEST, SUCCESS
from sinks.manifest import digest
from sinks.object_store import ObjectStore
from sinks.settings import Settings
from tests.sinks.fakes import DictStore
from tests.stores.faulty import faulty_store


@pytest.fixture(scope="module")
def gcs_face(s3: Any) -> Iterator[str]:
    """Where an S3 server answers to a client of Google's."""
    with faulty_store(s3.url) as face:
        yield face.url


OWN_URL = os.environ.get("HOURMARK_TEST_LAKE_URL", "")


@pytest.fixture(params=["dict", "disk", "object", "s3", "gcs", *(["own"] if OWN_URL else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        return open_store(s3.bucket(), s3.options)
    if request.param == "gcs":
        bucket = request.getfixturevalue("s3").bucket()
        return open_store(bucket.replace("s3:", "gs:"), {"base_url": request.getfixturevalue("gcs_face"), "bearer_token": "t"})
    if request.param == "own":
        options = json.loads(os.environ.get("HOURMARK_TEST_LAKE_OPTIONS") or "{}")
        return open_store(f"{OWN_URL.rstrip('/')}/{uuid.uuid4().hex}", options)
    made: dict[str, Callable[[], Any]] = {
        "dict": lambda: DictStore(),
        "disk": lambda: DiskStore(tmp_path / "lake"),
        "object": lambda: ObjectStore(MemoryStore()),
    }
    return made[request.param]()


def writes(data: bytes) -> Callable[[IO[bytes]], None]:
    def fill(file: IO[bytes]) -> None:
        file.write(data)

    return fill


def test_a_file_is_created_once_and_never_changes(store: Any) -> None:
    assert store.create("a/b/one.json", b"first")
    assert not store.create("a/b/one.json", b"second")
    assert store.read("a/b/one.json") == b"first"
    assert store.read("a/b/two.json") is None


def test_one_of_many_creates_the_file(store: Any) -> None:
    won: list[bytes] = []

    def race(data: bytes) -> None:
        if store.create("race.json", data):
            won.append(data)

    threads = [threading.Thread(target=race, args=(bytes([n]) * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("race.json") == won[0]


def test_names_are_sorted_and_can_begin_behind_one(store: Any) -> None:
    for name in ("00000000000000000010.json", "00000000000000000002.json", "00000000000000000007.json"):
        store.create(f"c/t.x/p00000/{name}", b"x")
    store.create("c/t.x/p00000/deeper/00000000000000000099.json", b"x")
    store.create("c/t.x/p000001.json", b"x")
    assert [int(name[:20]) for name in store.names("c/t.x/p00000")] == [2, 7, 10]
    assert [int(name[:20]) for name in store.names("c/t.x/p00000", "00000000000000000002.json")] == [7, 10]
    assert store.names("nothing/here") == []
    assert store.folders("c/t.x") == ["p00000"]
    assert store.folders("nothing") == []


def test_a_large_file_tells_what_is_stored(store: Any) -> None:
    stored = store.write("parts/p.parquet", writes(b"abc" * 1000))
    assert stored == (3000, digest(b"abc" * 1000))
    assert store.write("parts/p.parquet", writes(b"another")) == stored
    with closing(store.open("parts/p.parquet")) as file:
        assert bytes(file.read(3)) == b"abc"
        file.seek(2999)
        assert bytes(file.read(1)) == b"c"


def test_a_file_of_many_pieces_is_created_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "SINGLE", 1 << 20)
    monkeypatch.setattr(object_store, "CHUNK", 5 << 20)  # the least that S3 takes
    large = bytes(range(256)) * (24 << 10)  # 6 MB
    stored = store.write("parts/large.parquet", writes(large))
    assert stored == (len(large), digest(large))
    assert store.write("parts/large.parquet", writes(b"x" + large[1:])) == stored
    assert store.write("parts/large.parquet", writes(b"short")) == stored
    with closing(store.open("parts/large.parquet")) as file:
        assert file.read() == large
    assert store.names("meta/staging") == []


def test_what_nobody_names_can_be_removed(store: Any) -> None:
    store.create("meta/parts/p.parquet", b"x")
    store.remove("meta/parts/p.parquet")
    store.remove("meta/parts/p.parquet")
    assert store.read("meta/parts/p.parquet") is None


def publish(store: Any, data: bytes) -> bool:
    publication = store.publication("events/t.x/dt=2026-01-01/hour=00")
    publication.write("part-00000-x.parquet", writes(data))
    return bool(publication.finish([(MANIFEST, b"manifest " + data), (SUCCESS, b"")]))


def test_an_hour_is_presented_once(store: Any) -> None:
    assert publish(store, b"same")
    assert not publish(store, b"same")
    folder = "events/t.x/dt=2026-01-01/hour=00"
    assert set(store.names(folder)) == {MANIFEST, SUCCESS, "part-00000-x.parquet"}
    assert store.read(f"{folder}/{MANIFEST}") == b"manifest same"
    assert store.folders("events/t.x") == ["dt=2026-01-01"]


def test_a_failed_write_leaves_nothing(store: Any, tmp_path: Path) -> None:
    def fails(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises((LakeUnavailable, OSError)):
        store.write("parts/half.parquet", fails)
    assert store.read("parts/half.parquet") is None
    publication = store.publication("events/t.x/dt=2026-01-01/hour=01")
    with pytest.raises((LakeUnavailable, OSError)):
        publication.write("half.parquet", fails)
    assert store.names("events/t.x/dt=2026-01-01/hour=01") == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_that_refuses_is_unavailable(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "lake")
    (tmp_path / "lake" / "meta" / "commits").write_text("a file where a folder must be")
    with pytest.raises(LakeUnavailable):
        store.create("meta/commits/t.x/p00000/0.json", b"x")


def test_urls(tmp_path: Path) -> None:
    assert isinstance(open_store(f"file://{tmp_path}/a%20b"), DiskStore)
    assert (tmp_path / "a b").is_dir()
    for url in ("s3://bucket/pre/fix", "gs://bucket", "az://container/x"):
        assert isinstance(open_store(url, {"account_name": "a"} if url.startswith("az") else None), ObjectStore)
    for wrong in ("relative/path", "file://host/x", "what://x", "s3:///x", "memory:///"):
        with pytest.raises(SettingsError):
            open_store(wrong)


def test_the_environment_is_enough(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials under the vendor's names, the rest in one mapping; plain HTTP to this machine needs no word."""
    monkeypatch.setenv("HOURMARK_LAKE_URL", s3.bucket())
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": s3.url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("HOURMARK_LAKE_OPTIONS", '{"region": "eu-west-1", "timeout": "10s"}')
    settings = load(Settings)
    assert open_store(settings.lake_url, settings.plain_lake_options).create("a", b"x")
    monkeypatch.setenv("HOURMARK_LAKE_OPTIONS", '{"region": {"a": 1}}')
    with pytest.raises(SettingsError, match="HOURMARK_LAKE_OPTIONS"):
        load(Settings)


def test_secrets_are_never_shown() -> None:
    for url in ("s3://key:hush@bucket/x", "az://container/x?sig=hush", "s3://bucket/x#hush"):
        with pytest.raises(SettingsError) as refused:
            open_store(url)
        assert "hush" not in str(refused.value)
    with pytest.raises(SettingsError, match="no_such_option") as refused:
        open_store("s3://bucket/x", {"secret_access_key": "hush", "no_such_option": "hush"})
    assert "hush" not in str(refused.value)
    assert "hush" not in repr(Settings(lake_url="s3://bucket/x", lake_options={"secret_access_key": "hush"}))
