"""How many changes wait for Kafka stands on the metrics page at once, also while a write to Kafka hangs."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from registry.database import Database
from registry.outbox import Publisher
from registry.settings import Settings
from registry.store import Store


async def test_changes_that_wait_are_told_before_anything_is_tried(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'registry.db'}")
    try:
        database.migrate()
        publisher = Publisher(Settings(home=tmp_path, kafka="127.0.0.1:1"), Store(database))
        await publisher.load()
        assert REGISTRY.get_sample_value("hourmark_registry_outbox_unpublished") == 0
        await publisher.committed(3)
        assert REGISTRY.get_sample_value("hourmark_registry_outbox_unpublished") == 3
        assert REGISTRY.get_sample_value("hourmark_registry_published_revision") == 0
    finally:
        database.close()
