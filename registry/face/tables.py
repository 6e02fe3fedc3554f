"""Tables of the face. Subjects of declared events are not here: the catalogue has them.

A schema has one id per context; versions of subjects name it. Ids of the default context come from the sequence of `schemas.id`, so that
an id in a record's first bytes means one schema; other contexts count for themselves.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from ..tables import metadata

CONTEXT = 260
SUBJECT = 500

face_contexts = Table(
    "face_contexts",
    metadata,
    Column("context", String(CONTEXT), primary_key=True),
    Column("last_id", BigInteger, nullable=False),
)

face_schemas = Table(
    "face_schemas",
    metadata,
    Column("context", String(CONTEXT), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("text", Text, nullable=False),  # as first sent
    Column("refs", Text, nullable=False),  # JSON
    Index("ix_face_schemas_fingerprint", "context", "fingerprint"),
)

face_versions = Table(
    "face_versions",
    metadata,
    Column("context", String(CONTEXT), primary_key=True),
    Column("subject", String(SUBJECT), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("schema_id", BigInteger, nullable=False),
    Column("text", Text),  # as sent for this subject, where that differs from the schema's
    Column("metadata", Text),  # JSON
    Column("rule_set", Text),  # JSON
    Column("deleted", Boolean, nullable=False),
    Index("ix_face_versions_schema", "context", "schema_id"),
)

# What is named by schemas' references, so that it is not taken from under them.
face_references = Table(
    "face_references",
    metadata,
    Column("context", String(CONTEXT), primary_key=True),
    Column("subject", String(SUBJECT), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("by_id", BigInteger, primary_key=True, autoincrement=False),
    Column("by_context", String(CONTEXT), primary_key=True),
)

face_settings = Table(
    "face_settings",
    metadata,
    Column("context", String(CONTEXT), primary_key=True),
    Column("subject", String(SUBJECT), primary_key=True),  # empty: the whole context
    Column("kind", String(10), primary_key=True),  # config or mode
    Column("value", Text, nullable=False),  # JSON
)
