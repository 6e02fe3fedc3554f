"""Ten thousand event types: every one is listed once, told to nodes once, and survives the snapshot on the disk. No timing is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.catalogue import fill
from hourmark.schemas import EMPTY, Snapshot, decode_entry, read_snapshot, snapshot_bytes
from registry.database import Database
from registry.declaration import Declaration
from registry.store import Store

MANY = 10_000
NAMES = [f"many.t{number:05d}" for number in range(MANY)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("many")
    url = f"sqlite:///{folder / 'registry.db'}"
    fill(url, MANY)
    return Store(Database(url))


def test_the_list_is_whole_in_one_page_and_in_many(store: Store) -> None:
    assert [each["event"] for each in store.events_after("", MANY)] == NAMES
    pages, after = list[str](), ""
    while page := [each["event"] for each in store.events_after(after, 999)]:
        pages += page
        after = page[-1]
    assert pages == NAMES
    assert len(store.events_after("", MANY, "team-7")) == MANY // 50


def test_nodes_hear_of_each_once_and_remember_it(store: Store) -> None:
    rows = store.unpublished(3 * MANY)
    assert [row.revision for row in rows] == list(range(1, 2 * MANY + 1))
    snapshot: Snapshot = EMPTY
    for start in range(0, len(rows), 1000):  # as a node reads the topic
        snapshot = snapshot.with_changes((row.key, decode_entry(row.value or b"")) for row in rows[start : start + 1000])
    assert (list(snapshot.types), snapshot.revision, len(snapshot.schemas)) == (NAMES, 2 * MANY, MANY)
    again = read_snapshot(snapshot_bytes(snapshot))
    assert again == snapshot
    for name in (NAMES[0], NAMES[-1]):
        schema = again.schemas[again.types[name].schema_id]
        assert schema.event == name
        assert schema.avro["fields"][-1]["name"] == "field_number_11"


def test_the_store_publishes_all_of_it_and_then_each_change(store: Store) -> None:
    assert store.outbox_state() == (2 * MANY, 0, 2 * MANY)
    for start in range(0, 2 * MANY, 500):
        store.mark_published(range(start + 1, start + 501))
    assert store.outbox_state() == (2 * MANY, 2 * MANY, 0)
    assert len(store.changes(0)) == 2 * MANY
    assert [row.key for row in store.changes(2 * MANY - 2)] == [f"schema/{MANY}", f"type/{NAMES[-1]}"]
    found = store.event(NAMES[5])
    assert found is not None
    assert Declaration.model_validate(found.document).event == NAMES[5]
