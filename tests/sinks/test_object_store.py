"""What an object store is asked, how its troubles are told apart, and publications that are begun by one and finished by another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import MemoryStore

from hourmark.errors import LakeUnavailable
from hourmark.hours import label
from sinks import layout, object_store
from sinks.commits import CommitChain
from sinks.lake import open_store
from sinks.layout import MANIFEST, SUCCESS
from sinks.manifest import CommitEntry, digest
from sinks.object_store import ObjectStore, diagnosis, words
from sinks.seals import newest_seal
from tests.contracts.test_store import writes
from tests.sinks.fakes import HOUR
from tests.stores.faulty import FaultyStore, faulty_store, seeded
from tests.stores.s3 import S3Server, options_for

FOLDER = "events/t.x/dt=2026-01-01/hour=00"
LAST = [(MANIFEST, b"manifest"), (SUCCESS, b"")]


@pytest.fixture(scope="module")
def proxy(s3: S3Server) -> Iterator[FaultyStore]:
    with faulty_store(s3.url) as made:
        yield made


@pytest.fixture
def store(s3: S3Server, proxy: FaultyStore) -> Any:
    proxy.faults = lambda _request: ""
    return open_store(s3.bucket(), options_for(proxy.url, timeout="2s"))


def test_an_hour_that_was_begun_is_finished_by_another(store: Any) -> None:
    first = store.publication(FOLDER).write("part-00000-x.parquet", writes(b"the same rows"))
    other = store.publication(FOLDER)

    def not_again(_file: Any) -> None:
        raise AssertionError("merged again what is there")

    assert other.write("part-00000-x.parquet", not_again) == first
    assert other.finish(LAST)
    assert store.read(f"{FOLDER}/{MANIFEST}") == b"manifest"
    assert store.read(f"{FOLDER}/part-00000-x.parquet") == b"the same rows"


def test_two_publishers_leave_the_same_bytes(store: Any) -> None:
    """Both write: each learns what is really stored, and none overwrites."""
    one, two = store.publication(FOLDER), store.publication(FOLDER)
    stored = one.write("part-00000-x.parquet", writes(b"rows, as this version writes them"))
    assert two.write("part-00000-x.parquet", writes(b"rows, as another version writes them")) == stored
    assert two.finish(LAST)
    assert not one.finish([(MANIFEST, b"of another version"), (SUCCESS, b"")])
    assert store.read(f"{FOLDER}/{MANIFEST}") == b"manifest"


def test_a_manifest_of_another_version_stands(store: Any) -> None:
    """Its publisher died before the marker. Who finishes must not announce a manifest that is not the one that stands."""
    store.create(f"{FOLDER}/{MANIFEST}", b"of another version")
    assert not store.publication(FOLDER).finish(LAST)
    assert store.read(f"{FOLDER}/{SUCCESS}") == b""


def entry(first: int, writer: str) -> CommitEntry:
    return CommitEntry(
        type="t.x", partition=0, first=first, next=first + 10, mark=None, closed=None, parts=[], hours={}, barriers=[], repeats=0,
        foreign=0, previous="", writer=writer,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["lost", "done_500"])
def test_an_entry_whose_reply_was_lost_is_ours(store: Any, proxy: FaultyStore, kind: str) -> None:
    """The client's second request is told that the object exists. It does: it is our own."""
    chain, puts = CommitChain(store), iter([kind])
    proxy.faults = lambda request: next(puts, "") if request.method == "PUT" else ""
    before = proxy.seen[kind]
    tip, won = chain.extend(chain.tip(layout_partition()), entry(0, "me"))
    assert won
    assert tip.next == 10
    assert proxy.seen[kind] == before + 1
    other, won = CommitChain(store).extend(tip._replace(next=0, digest=""), entry(0, "somebody else"))
    assert not won
    assert other == tip


def layout_partition() -> Any:
    from hourmark.topics import Partition

    return Partition("t.x", 0)


def test_a_reply_that_never_comes_is_unavailable_and_the_file_may_be_there(store: Any, proxy: FaultyStore) -> None:
    proxy.slow_s = 4.0
    slow = iter(["slow"])
    proxy.faults = lambda request: next(slow, "") if request.method == "PUT" else ""
    with pytest.raises(LakeUnavailable):
        store.create("meta/seals/t.x/2026-01-01T00.json", b"plan")
    assert store.read("meta/seals/t.x/2026-01-01T00.json") == b"plan"


def test_a_conflict_with_a_writer_who_is_not_done_is_no_existing_file(store: Any, proxy: FaultyStore) -> None:
    """S3 answers 409 when two conditional writes meet; neither need have won yet."""
    proxy.faults = lambda request: "409" if request.method == "PUT" else ""
    with pytest.raises(LakeUnavailable, match="nothing is there yet"):
        store.create("a", b"mine")
    proxy.faults = lambda _request: ""
    assert store.create("a", b"mine")


def test_large_files_and_publications_through_a_failing_store(store: Any, proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again until it passes, as the worker does, a large file is what it should be, whatever got lost on the way."""
    monkeypatch.setattr(object_store, "SINGLE", 1 << 20)
    monkeypatch.setattr(object_store, "CHUNK", 5 << 20)
    large = bytes(range(256)) * (24 << 10)
    before = sum(proxy.seen.values())
    for seed in range(4):
        proxy.faults, folder = seeded(seed, 0.3, ("lost", "done_500", "500", "cut", "409")), f"{FOLDER}{seed}"

        def publish(folder: str = folder) -> Any:
            publication = store.publication(folder)
            stored = publication.write("part-00000-x.parquet", writes(large))
            publication.finish(LAST)
            return stored

        assert until_it_passes(publish) == (len(large), digest(large))
        assert until_it_passes(lambda folder=folder: store.names(folder)) == [SUCCESS, MANIFEST, "part-00000-x.parquet"]
        assert until_it_passes(lambda folder=folder: store.stored(f"{folder}/part-00000-x.parquet")) == (len(large), digest(large))
    assert sum(proxy.seen.values()) > before + 10


def until_it_passes(act: Any) -> Any:
    for _ in range(50):
        try:
            return act()
        except LakeUnavailable:
            continue
    raise AssertionError("never passed")


def test_troubles_are_told_apart() -> None:
    assert diagnosis(GenericError("Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>")) == ("busy", 5.0)
    assert diagnosis(PermissionDeniedError("403")) == ("refused", 30.0)
    assert diagnosis(FileNotFoundError("<Code>NoSuchBucket</Code>"))[0] == "no_place"
    assert diagnosis(GenericError("501 Not Implemented"))[0] == "unsupported"
    assert diagnosis(GenericError("operation timed out")) == ("away", 1.0)
    said = words(GenericError("put failed: <?xml ?><Error><Code>SlowDown</Code><Message>less</Message></Error>\n\nDebug source:\nX"))
    assert said == "GenericError: put failed (SlowDown: less)"


def test_the_newest_of_many_seals_costs_one_short_listing(store: Any, proxy: FaultyStore) -> None:
    asked: list[str] = []
    for hour in range(HOUR, HOUR + 60):
        store.create(layout.seal("t.x", hour), b"plan")
    proxy.faults = lambda request: asked.append(request.query.get("start-after", "")) or ""
    assert newest_seal(store, "t.x", HOUR + 61) == HOUR + 59
    assert len(asked) == 1
    assert asked[0].endswith(f"meta/seals/t.x/{label(HOUR + 13)}.json")
    assert newest_seal(store, "t.x", HOUR + 40) == HOUR + 59
    assert newest_seal(store, "t.x", HOUR + 10**5) == HOUR + 59
    assert newest_seal(store, "t.y", HOUR) is None


def test_names_behind_a_name_are_asked_for_alone(store: Any, proxy: FaultyStore) -> None:
    """A listing of a long folder is paid by the page: the store must not send what is not wanted."""
    asked: list[str] = []
    for number in range(5):
        store.create(f"meta/commits/t.x/p00000/{layout.entry_name(number)}", b"x")
    proxy.faults = lambda request: asked.append(request.query.get("start-after", "")) or ""
    assert store.names("meta/commits/t.x/p00000", layout.entry_name(3)) == [layout.entry_name(4)]
    assert [name.rpartition("/")[2] for name in asked] == [layout.entry_name(3)]


def test_memory_stays_bounded_while_a_large_file_goes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece that is handed to the store is larger than a chunk; only small files go in one request."""
    monkeypatch.setattr(object_store, "SINGLE", 1 << 20)
    calls: list[dict[str, Any]] = []
    real = object_store.obstore.put
    monkeypatch.setattr(object_store.obstore, "put", lambda *args, **options: (calls.append(options), real(*args, **options))[1])
    store = ObjectStore(MemoryStore())
    store.write("small", writes(bytes(1 << 20)))
    store.write("large", writes(bytes(3 << 20)))
    assert [call["use_multipart"] for call in calls] == [False, True]
    assert calls[1]["chunk_size"] * calls[1]["max_concurrency"] <= 32 << 20
