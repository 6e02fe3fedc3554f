"""Subjects of the Confluent-compatible face: contexts, schemas, versions, settings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "face_contexts",
        sa.Column("context", sa.String(260), primary_key=True),
        sa.Column("last_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "face_schemas",
        sa.Column("context", sa.String(260), primary_key=True),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("refs", sa.Text, nullable=False),
    )
    op.create_index("ix_face_schemas_fingerprint", "face_schemas", ["context", "fingerprint"])
    op.create_table(
        "face_versions",
        sa.Column("context", sa.String(260), primary_key=True),
        sa.Column("subject", sa.String(500), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("schema_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("rule_set", sa.Text),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    op.create_index("ix_face_versions_schema", "face_versions", ["context", "schema_id"])
    op.create_table(
        "face_references",
        sa.Column("context", sa.String(260), primary_key=True),
        sa.Column("subject", sa.String(500), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("by_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("by_context", sa.String(260), primary_key=True),
    )
    op.create_table(
        "face_settings",
        sa.Column("context", sa.String(260), primary_key=True),
        sa.Column("subject", sa.String(500), primary_key=True),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("face_settings", "face_references", "face_versions", "face_schemas", "face_contexts"):
        op.drop_table(table)
