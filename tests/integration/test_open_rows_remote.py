"""The rows of open hours of a lake in an object store: parts through the sink's own client, the rest from the log."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cli.remote import RemoteLake
from cli.watch.opened import Opener, Registered
from sinks.lake import open_store
from sinks.object_store import ObjectStore
from tests.cli.watch.test_opened import NEW, OLD, TYPE, PaperLog, feeds, rows
from tests.sinks.fakes import declared
from tests.sinks.room import Room
from tests.stores.s3 import S3Server

pytestmark = pytest.mark.real


def test_they_are_those_that_will_land(s3: S3Server, tmp_path: Path) -> None:
    where = s3.bucket()
    store = open_store(where, s3.options)
    assert isinstance(store, ObjectStore)
    room, chance = Room(OLD, NEW, declared(TYPE, NEW, 2), store=store), random.Random(3)
    lake, all_feeds = RemoteLake(store, where), feeds(chance)
    for feed in all_feeds:
        whole, feed.out = feed.out, feed.out[: len(feed.out) * 2 // 3]
        room.drain(feed, step=50)
        feed.out = whole
    room.seal()
    found = Opener(store, lake, PaperLog(all_feeds), Registered(room.shapes, lambda _: 2), tmp_path).open(TYPE)
    assert found.final
    assert any("meta/parts" in name for name in found.open)
    before = rows(lake, found)
    for feed in all_feeds:
        room.drain(feed)
    room.seal()
    assert sorted(before[0]) == sorted(rows(lake, None)[0])
    assert len(before) == len(rows(lake, None))
