"""The store on SQLite and PostgreSQL: a write is whole or absent, numbers are never used twice, writers queue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

import registry.face.tables  # noqa: F401  # they stand in the same database
from hourmark.errors import RegistryUnavailable, SettingsError
from hourmark.schemas import EventType, WireSchema, WriteKey, decode_entry
from registry.catalog import draft
from registry.database import Database
from registry.declaration import read
from registry.history import Byline, Record
from registry.provision import Provisioned
from registry.rows import Draft, Stale
from registry.store import Store
from registry.tables import metadata, outbox, schemas
from tests.registry.documents import declaration, payload


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def drafted(store: Store, event: str = "a.b", **more: object) -> Draft:
    return draft(read(declaration(event, **more)), store.event(event), Provisioned(2, False), Byline("me", "why"))


def test_migrations_make_the_tables_and_do_it_once(database: Database) -> None:
    database.migrate()
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_declaration_enqueues_its_schema_first(store: Store) -> None:
    stored = store.commit(drafted(store))
    rows = store.unpublished(10)
    schema, kind = (decode_entry(row.value or b"") for row in rows)
    assert [row.key for row in rows] == ["schema/1", "type/a.b"]
    assert isinstance(schema, WireSchema)
    assert isinstance(kind, EventType)
    assert (schema.revision, kind.revision, kind.schema_id, stored.revision) == (1, 2, 1, 2)


def test_the_same_schema_keeps_its_id(store: Store) -> None:
    store.commit(drafted(store))
    again = store.commit(drafted(store, description="other"))
    wider = store.commit(drafted(store, schema=payload(("track", "string"), ("n", "int", 0))))
    back = store.commit(drafted(store))
    assert [(s.schema_id, s.schema_version) for s in (again, wider, back)] == [(1, 1), (2, 2), (1, 1)]
    assert [schema.version for schema in store.schemas_of("a.b")] == [1, 2]


def test_a_stale_draft_changes_nothing(store: Store) -> None:
    first = drafted(store)
    store.commit(first)
    state = store.outbox_state()
    with pytest.raises(Stale):
        store.commit(first)
    assert store.outbox_state() == state


def test_of_many_writers_one_wins(store: Store) -> None:
    same = drafted(store)

    def write(_: int) -> bool:
        try:
            store.commit(same)
        except Stale:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(16))) == 1


def test_revisions_commit_in_order(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.commit(drafted(store, f"a.b{n}")), range(20)))
    assert [row.revision for row in store.unpublished(100)] == list(range(1, 41))
    assert sorted(schema.id for n in range(20) for schema in store.schemas_of(f"a.b{n}")) == list(range(1, 21))


def test_published_rows_are_published_once(store: Store) -> None:
    store.commit(drafted(store))
    store.commit(drafted(store, description="two"))
    assert store.outbox_state() == (3, 0, 3)
    store.mark_published([1, 2])
    assert store.outbox_state() == (3, 2, 1)
    store.mark_published([3])
    assert store.outbox_state() == (3, 3, 0)
    assert store.publish_again() == 2
    assert [row.revision for row in store.unpublished(10)] == [1, 3]


def test_keys(store: Store) -> None:
    key, said = WriteKey(revision=0, name="web", token_sha256="x", types=("a.*",)), Record("put_key", "key/web", Byline("me"))
    assert store.put_key(key, said, None) == 1
    with pytest.raises(Stale):
        store.put_key(key, said, None)
    assert store.put_key(key, said, 1) == 2
    assert [(k.name, k.types, k.revision) for k in store.write_keys()] == [("web", ["a.*"], 2)]
    assert store.key("web") == store.write_keys()[0]
    assert store.key("app") is None
    with pytest.raises(Stale):
        store.delete_key("web", said, 1)
    assert store.delete_key("web", said, 2) == 3
    with pytest.raises(Stale):
        store.delete_key("web", said, 2)
    assert [(row.key, row.value) for row in store.changes(0)] == [("key/web", None)]


def test_changes_name_each_entry_once(store: Store) -> None:
    store.commit(drafted(store))
    store.commit(drafted(store, description="two"))
    assert [row.key for row in store.changes(0)] == ["schema/1", "type/a.b"]
    assert [row.revision for row in store.changes(2)] == [3]
    assert store.changes(3) == []


def test_numbers_seen_elsewhere_are_skipped(store: Store) -> None:
    store.skip_to(100, 50)
    stored = store.commit(drafted(store))
    assert (stored.schema_id, stored.revision) == (51, 102)
    store.skip_to(5, 5)
    assert store.commit(drafted(store, description="two")).revision == 103


def test_listing(store: Store) -> None:
    for name, told in (("a.a", "50% of all"), ("a.b", "none"), ("b.x_y", "Half")):
        store.commit(drafted(store, name, description=told))

    def names(after: str, limit: int, q: str = "") -> list[str]:
        return [summary["event"] for summary in store.events_after(after, limit, q)]

    assert names("", 2) == ["a.a", "a.b"]
    assert names("a.b", 10) == ["b.x_y"]
    assert names("", 10, "%") == ["a.a"]
    assert names("", 10, "_") == ["b.x_y"]
    assert names("", 10, "HALF") == ["b.x_y"]
    assert names("", 10, "team-player") == ["a.a", "a.b", "b.x_y"]


def test_one_process_per_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'registry.db'}")
    with pytest.raises(RegistryUnavailable, match="another registry"):
        Database(f"sqlite:///{tmp_path / 'registry.db'}")
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "nobody://x/y", "postgresql+nodriver://x/y"])
def test_a_store_that_cannot_be_used(url: str) -> None:
    with pytest.raises(SettingsError, match="HOURMARK_REGISTRY_DATABASE_URL"):
        Database(url)


def test_the_tables_count_by_themselves_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # the library's own gap
    for table, column in ((outbox, "revision"), (schemas, "id")):
        assert f"{column} BIGSERIAL" in str(CreateTable(table).compile(dialect=dialect))
