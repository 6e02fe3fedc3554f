"""What every lake must do, whatever it is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from obstore.store import MemoryStore

from hourmark.errors import LakeUnavailable, SettingsError
from sinks.disk import DiskStore
from sinks.lake import open_store
from sinks.layout import MANIFEST, SUCCESS
from sinks.manifest import digest
from sinks.object_store import ObjectStore
from tests.sinks.fakes import DictStore


@pytest.fixture(params=["dict", "disk", "object"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return {"dict": DictStore, "disk": lambda: DiskStore(tmp_path / "lake"), "object": lambda: ObjectStore(MemoryStore())}[request.param]()


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
    with store.open("parts/p.parquet") if hasattr(store.open("parts/p.parquet"), "__enter__") else _closing(store) as file:
        assert bytes(file.read(3)) == b"abc"
        file.seek(2999)
        assert bytes(file.read(1)) == b"c"


def _closing(store: Any) -> Any:
    from contextlib import closing

    return closing(store.open("parts/p.parquet"))


def publish(store: Any, data: bytes) -> bool:
    publication = store.publication("events/t.x/dt=2026-01-01/hour=00")
    publication.write("part-00000-x.parquet", writes(data))
    publication.copy("parts/p.parquet", "part-00001-x.parquet")
    return bool(publication.finish([(MANIFEST, b"manifest " + data), (SUCCESS, b"")]))


def test_an_hour_is_presented_once(store: Any) -> None:
    store.write("parts/p.parquet", writes(b"large"))
    assert publish(store, b"same")
    assert not publish(store, b"same")
    folder = "events/t.x/dt=2026-01-01/hour=00"
    assert set(store.names(folder)) == {MANIFEST, SUCCESS, "part-00000-x.parquet", "part-00001-x.parquet"}
    assert store.read(f"{folder}/{MANIFEST}") == b"manifest same"
    assert store.read(f"{folder}/part-00001-x.parquet") == b"large"
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
    for wrong in ("relative/path", "file://host/x", "what://x"):
        with pytest.raises(SettingsError):
            open_store(wrong)
