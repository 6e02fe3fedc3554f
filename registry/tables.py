"""The store's tables. `outbox.revision` is the one counter of the platform: every change of the catalogue has its own, for ever."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.types import TypeEngine

metadata = MetaData()
# SQLite counts only in INTEGER columns
_COUNTER: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    metadata,
    Column("event", String(100), primary_key=True),
    # dots as underscores: Kafka takes topic names that differ only in these for equal
    Column("folded", String(100), nullable=False, unique=True),
    Column("revision", BigInteger, nullable=False),
    Column("owner", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("tier", String(20), nullable=False),
    Column("lifecycle", String(20), nullable=False),
    Column("schema_id", BigInteger, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("source", Integer, nullable=False),
    Column("raw_id", String(40), nullable=False, server_default=""),  # Kafka's id of the raw topic; another one is another source
    Column("document", Text, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("event", String(100), nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
)

# Who asked for which change, and what became of it; rows are only ever added.
audit = Table(
    "audit",
    metadata,
    Column("number", _COUNTER, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("author", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(300), nullable=False, index=True),
    Column("revision", BigInteger),  # of the change, where there was one
    Column("message", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    sqlite_autoincrement=True,
)

schemas = Table(
    "schemas",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("event", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("avro", Text, nullable=False),
    Column("payload", Text, nullable=False),  # the payload schema as declared
    UniqueConstraint("event", "version"),
    UniqueConstraint("event", "fingerprint"),
    sqlite_autoincrement=True,
)

keys = Table(
    "keys",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("types", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("revision", _COUNTER, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, index=True),
    Column("value", LargeBinary),  # null: the entry is gone
    Column("published_at", Float, index=True),
    sqlite_autoincrement=True,
)

# One row: what this store is called. Those who share it fence each other at the broker by this name.
store = Table(
    "store",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String(40), nullable=False),
)
