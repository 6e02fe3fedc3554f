"""What a sink worker tidies by itself, a bit at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hourmark.errors import LakeUnavailable
from sinks import layout
from sinks.fsck import fsck
from sinks.settings import Settings
from sinks.tidying import STAGED_LEAST_S, Tidying
from tests.sinks.fakes import HOUR, DictStore, Feed
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import TWO, TYPE, fill


def settings_of(home: Path, **extra: Any) -> Settings:
    """Each step may be a type's turn."""
    return Settings(kafka="none", home=home, profile="local", lake_url="file:///none", registry_url="none", sweep_every_s=1e-9, **extra)


def grown(store: DictStore, hours: int) -> Room:
    room = Room(*TWO, store=store)
    feeds = [Feed(0), Feed(1)]
    for hour in range(HOUR, HOUR + hours):
        for feed in feeds:
            fill(feed, hour, range((hour - HOUR) * 100 + feed.partition * 50, (hour - HOUR) * 100 + feed.partition * 50 + 20))
            feed.barrier(hour)
            room.drain(feed, 10)
        assert room.seal() == 1
    return room


def test_a_type_is_tidied_partition_by_partition(tmp_path: Path) -> None:
    store = DictStore()
    room = grown(store, 5)
    settings = settings_of(tmp_path, sweep_age_s=3600, checkpoint_entries=4)
    young, old = Tidying(store, settings, lambda: 3599.0), Tidying(store, settings, lambda: 3601.0)
    parts = [path for path in store.files if path.startswith(layout.PARTS)]
    assert len(parts) > 20
    for _ in range(20):
        young.step([TYPE])
    assert len(store.folders(f"{layout.CHECKPOINTS}/{TYPE}")) == 2
    assert [len(store.names(layout.commits(TYPE, number))) for number in range(2)] == [1, 1]
    assert [path for path in store.files if path.startswith(layout.PARTS)] == parts  # too young
    for _ in range(20):
        old.step([TYPE])
    assert not [path for path in store.files if path.startswith(layout.PARTS)]
    assert fsck(store) == []
    assert room.seal() == 0


def test_a_lake_that_is_away_is_tidied_later(tmp_path: Path) -> None:
    class Away(DictStore):
        def names(self, folder: str, after: str = "") -> list[str]:
            raise LakeUnavailable("away")

    settings = settings_of(tmp_path)
    tidying = Tidying(Away(), settings, lambda: 0.0)
    for _ in range(5):
        tidying.step([TYPE])


def test_what_failed_half_way_is_done_when_the_lake_is_back(tmp_path: Path) -> None:
    class Trembling(DictStore):
        away = False

        def create(self, path: str, data: bytes) -> bool:
            if self.away:
                raise LakeUnavailable("away")
            return super().create(path, data)

    store = Trembling()
    grown(store, 5)
    tidying = Tidying(store, settings_of(tmp_path, checkpoint_entries=2), lambda: 0.0)
    store.away = True
    for _ in range(5):
        tidying.step([TYPE])
    assert not store.folders(f"{layout.CHECKPOINTS}/{TYPE}")
    store.away = False
    for _ in range(5):
        tidying.step([TYPE])
    assert len(store.folders(f"{layout.CHECKPOINTS}/{TYPE}")) == 2


def test_staging_is_never_swept_before_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker has in its hands there, another must leave, whatever its settings say."""
    monkeypatch.setattr("sinks.tidying.STAGED_EVERY_S", 0.0)
    store, clock = DictStore(), [STAGED_LEAST_S - 1]
    store.create(f"{layout.STAGING}/probe-1", b"x")  # a DictStore writes at 0
    tidying = Tidying(store, settings_of(tmp_path, sweep_age_s=0), lambda: clock[0])
    tidying.step([])
    assert store.names(layout.STAGING) == ["probe-1"]
    clock[0] += 2
    tidying.step([])
    assert store.names(layout.STAGING) == []
