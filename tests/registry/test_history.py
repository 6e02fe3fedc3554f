"""Revisions and the audit log, on every database: they hold who, when and why, and nothing there can be changed or removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import delete, text, update

from hourmark.errors import InvariantBroken
from hourmark.schemas import WriteKey
from registry.catalog import draft
from registry.database import Database
from registry.declaration import read
from registry.history import Byline, History, Record
from registry.provision import Provisioned
from registry.rows import Draft, Stale
from registry.store import Store
from registry.tables import audit, revisions
from tests.registry.documents import declaration


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


def drafted(store: Store, byline: Byline, event: str = "a.b", **more: object) -> Draft:
    return draft(read(declaration(event, **more)), store.event(event), Provisioned(2, False), byline)


def test_revisions_say_who_when_and_why(database: Database) -> None:
    store, history = Store(database), History(database)
    first = store.commit(drafted(store, Byline("ann", "a start")))
    store.commit(drafted(store, Byline("other"), "c.d"))
    second = store.commit(drafted(store, Byline("bob", "more\nto say: 'DROP TABLE audit; --'"), description="two"))
    found = history.revisions("a.b", 2**62, 10)
    assert [(row["revision"], row["author"], row["message"].partition("\n")[0]) for row in found] == [
        (second.revision, "bob", "more"),
        (first.revision, "ann", "a start"),
    ]
    assert found[0]["at"] >= found[1]["at"] > 1_700_000_000
    assert [row["revision"] for row in history.revisions("a.b", second.revision, 10)] == [first.revision]
    assert [row["revision"] for row in history.revisions("a.b", 2**62, 1)] == [second.revision]
    then = history.revision("a.b", first.revision)
    assert then is not None
    assert then["declaration"] == read(declaration("a.b")).document()
    assert history.revision("c.d", first.revision) is None


def test_every_change_and_every_refusal_is_a_row(database: Database) -> None:
    store, history = Store(database), History(database)
    made = store.commit(drafted(store, Byline("ann")))
    turned = store.commit(drafted(store, Byline("bob"), owner="team-b", lifecycle={"state": "blocked", "reason": "a flood"}, sdks=["x"]))
    key = WriteKey(revision=0, name="web", token_sha256="x")
    put = store.put_key(key, Record("put_key", "key/web", Byline("ann")), None)
    gone = store.delete_key("web", Record("delete_key", "key/web", Byline("eve")), put)
    history.refused(Record("declare", "event/a.b", Byline("eve"), None, {"outcome": "refused", "code": "incompatible_schema"}))
    rows = history.audit(0, 100)
    assert [(row["number"], row["author"], row["action"], row["subject"], row["revision"]) for row in rows] == [
        (1, "ann", "declare", "event/a.b", made.revision),
        (2, "bob", "declare", "event/a.b", turned.revision),
        (3, "ann", "put_key", "key/web", put),
        (4, "eve", "delete_key", "key/web", gone),
        (5, "eve", "declare", "event/a.b", None),
    ]
    assert rows[1]["detail"] == {
        "outcome": "changed",
        "changed": ["owner", "sdks", "lifecycle"],
        "owner": ["team-player", "team-b"],
        "lifecycle": ["active", {"state": "blocked", "reason": "a flood"}],
    }
    assert rows[4]["detail"]["code"] == "incompatible_schema"
    assert [row["number"] for row in history.audit(1, 2, "event/a.b")] == [2, 5]


def test_no_change_without_its_row_and_no_row_without_its_change(database: Database) -> None:
    store, history = Store(database), History(database)
    made = drafted(store, Byline("ann"))
    with pytest.raises(TypeError):
        store.commit(made._replace(record=made.record._replace(detail={"cannot": object()})))
    assert store.event("a.b") is None
    assert store.outbox_state() == (0, 0, 0)
    store.commit(made)
    with pytest.raises(Stale):
        store.commit(made)
    assert len(history.audit(0, 100)) == len(history.revisions("a.b", 2**62, 10)) == 1


def test_nothing_of_it_can_be_changed_or_removed(database: Database) -> None:
    store, history = Store(database), History(database)
    store.commit(drafted(store, Byline("ann", "a start")))
    before = history.audit(0, 100), history.revisions("a.b", 2**62, 10)
    statements = [update(audit).values(author="eve"), delete(audit), update(revisions).values(author="eve"), delete(revisions)]
    if database.shared:
        statements += [text("TRUNCATE audit"), text("TRUNCATE revisions")]  # type: ignore[list-item]
    for statement in statements:
        with pytest.raises(InvariantBroken, match="never changed or removed"), database.writing() as connection:
            connection.execute(statement)
    assert (history.audit(0, 100), history.revisions("a.b", 2**62, 10)) == before
