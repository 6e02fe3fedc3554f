"""What PostgreSQL must do for several registries: one order for all writers, and no lock outlives a process that was cut off or frozen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from hourmark.errors import RegistryUnavailable
from registry.catalog import draft
from registry.database import Database
from registry.declaration import read
from registry.history import Byline
from registry.provision import Provisioned
from registry.rows import Draft, Stale
from registry.store import Store
from tests.registry.documents import declaration
from tests.stores.postgres import PostgresServer

pytestmark = pytest.mark.real


@pytest.fixture
def two(postgres: PostgresServer) -> Iterator[tuple[Database, Database]]:
    """Two registries' connections to one new database, whose tables both make at the same moment."""
    with postgres.database() as url:
        first, second = Database(url.replace("+psycopg", "")), Database(url)
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(Database.migrate, (first, second)):
                pass
        yield first, second
        first.close()
        second.close()


def drafted(store: Store, event: str) -> Draft:
    return draft(read(declaration(event)), store.event(event), Provisioned(2, False), Byline("me", ""))


def test_writers_of_both_queue(two: tuple[Database, Database]) -> None:
    stores = [Store(database) for database in two]
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            newest, _, count = stores[0].outbox_state()
            assert newest == count, "whoever sees a revision sees all below it"
            seen.append(newest)

    watching = ThreadPoolExecutor(1).submit(watch)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stores[n % 2].commit(drafted(stores[n % 2], f"a.b{n}")), range(40)))
    ended.set()
    watching.result()
    assert seen == sorted(seen)
    assert [row.revision for row in stores[1].unpublished(100)] == list(range(1, 81))
    assert stores[0].identity() == stores[1].identity()


def test_of_both_one_wins(two: tuple[Database, Database]) -> None:
    first, second = (Store(database) for database in two)
    mine, theirs = drafted(first, "a.b"), drafted(second, "a.b")
    first.commit(mine)
    with pytest.raises(Stale):
        second.commit(theirs)
    late = drafted(second, "a.x_b")
    first.commit(drafted(first, "a.x.b"))
    with pytest.raises(Stale):  # Kafka would take its topics for those of the other
        second.commit(late)


def test_a_rolled_back_number_is_a_gap_and_nothing_waits_for_it(two: tuple[Database, Database]) -> None:
    store = Store(two[0])
    store.commit(drafted(store, "a.b"))
    with two[1].writing() as connection:
        connection.execute(text("INSERT INTO outbox (key, value) VALUES ('key/x', NULL)"))
        connection.rollback()
    store.commit(drafted(store, "a.c"))
    assert [row.revision for row in store.unpublished(10)] == [1, 2, 4, 5]
    store.mark_published([1, 2])
    assert store.outbox_state() == (5, 3, 2)
    store.mark_published([4, 5])
    assert store.outbox_state() == (5, 5, 0)


def test_a_frozen_writer_loses_its_lock_and_its_work(two: tuple[Database, Database]) -> None:
    frozen, other = two
    store = Store(other)

    def writes() -> None:
        with frozen.writing() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '200ms'"))
            connection.execute(text("INSERT INTO outbox (key, value) VALUES ('key/frozen', NULL)"))
            store.commit(drafted(store, "a.b"))  # waits for the lock, and gets it

    with pytest.raises(RegistryUnavailable):
        writes()
    assert [row.key for row in store.unpublished(10)] == ["schema/1", "type/a.b"]
    assert Store(frozen).event("a.b") is not None, "its next connection is a new one"


def test_who_waits_too_long_for_a_lock_says_so(two: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch) -> None:
    holder, other = two
    monkeypatch.setattr("registry.database._OPTIONS", {"options": "-c lock_timeout=100ms"})
    hasty = Database(other.engine.url.render_as_string(hide_password=False))
    with holder.writing(), pytest.raises(RegistryUnavailable, match="lock timeout"), hasty.writing():
        pass
    with holder.publishing(), pytest.raises(RegistryUnavailable, match="lock timeout"), hasty.publishing():
        pass
    hasty.close()


def test_cut_connections_are_replaced(two: tuple[Database, Database]) -> None:
    store, other = Store(two[0]), two[1]
    store.commit(drafted(store, "a.b"))
    with other.reading() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(text(query))
    assert store.event("a.b") is not None


def test_a_server_that_is_away() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        Store(database).event("a.b")
    database.close()
