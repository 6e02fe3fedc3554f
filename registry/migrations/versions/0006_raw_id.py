"""Kafka's own id of the raw topic that an event type's source means."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("events", sa.Column("raw_id", sa.String(40), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("events", "raw_id")
