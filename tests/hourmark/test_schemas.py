import msgspec
import pytest

from hourmark import schemas
from hourmark.schemas import EMPTY, EventType, Snapshot, WireSchema, WriteKey, avro_text


def event_type(revision: int, name: str = "a.b", **changes: object) -> EventType:
    return msgspec.structs.replace(EventType(revision=revision, event=name, owner="t", schema_id=1, partitions=4), **changes)


SCHEMA = WireSchema(revision=1, schema_id=1, event="a.b", version=1, fingerprint="f", text=avro_text({"type": "record"}))
KEY = WriteKey(revision=3, name="k", token_sha256="d1", types=("a.*",))


def grown(*entries: schemas.Entry, start: Snapshot = EMPTY) -> Snapshot:
    return start.with_changes((schemas.entry_key(e), e) for e in entries)


def test_a_snapshot_grows_and_never_changes_itself() -> None:
    first = grown(SCHEMA, event_type(2))
    second = grown(KEY, start=first)
    assert (first.revision, second.revision, dict(first.keys)) == (2, 3, {})
    assert second.keys["d1"].may_send("a.b")
    assert not second.keys["d1"].may_send("b.a")


def test_an_older_revision_of_a_type_never_wins() -> None:
    assert grown(event_type(5, owner="new"), event_type(4, owner="old")).types["a.b"].owner == "new"


def test_deleted_entries_go_and_a_changed_key_forgets_the_old_token() -> None:
    full = grown(SCHEMA, event_type(2), KEY)
    assert not full.with_changes([("type/a.b", None), ("key/k", None), ("unknown/x", None)]).types
    rolled = grown(msgspec.structs.replace(KEY, revision=4, token_sha256="d2"), start=full)
    assert set(rolled.keys) == {"d2"}


def test_entries_and_snapshots_read_back() -> None:
    full = grown(SCHEMA, event_type(2), KEY)
    for entry in full.entries():
        assert schemas.decode_entry(schemas.encode_entry(entry)) == entry
    assert schemas.read_snapshot(schemas.snapshot_bytes(full)) == full
    with pytest.raises(msgspec.DecodeError):
        schemas.read_snapshot(b"half a snapsh")
