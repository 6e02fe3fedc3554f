"""fsck finds what is wrong with a lake, and nothing in a good one. The read side tells people what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hourmark.hours import label
from sinks import layout
from sinks.disk import DiskStore
from sinks.fsck import Finding, fsck
from sinks.watermarks import hours, types, watermark
from tests.sinks.fakes import HOUR, Feed
from tests.sinks.room import Room
from tests.sinks.test_sealed_hours import ONE, TYPE, fill


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two sealed hours and an open one."""
    room, feed = Room(*ONE, store=DiskStore(tmp_path)), Feed()
    for hour in (HOUR, HOUR + 1):
        fill(feed, hour, range((hour - HOUR) * 20, (hour - HOUR) * 20 + 20))
        feed.duplicate(hour)
        feed.barrier(hour)
    room.drain(feed, 9)
    assert room.seal() == 2
    fill(feed, HOUR + 2, range(40, 45))
    room.drain(feed)
    return tmp_path


def codes(lake: Path, **what: int) -> set[str]:
    return {finding.code for finding in fsck(DiskStore(lake), TYPE, **what)}


def folder(lake: Path, hour: int = HOUR) -> Path:
    return lake / layout.hour_folder(TYPE, hour)


def the_file(lake: Path, hour: int = HOUR) -> Path:
    return next(folder(lake, hour).glob("*.parquet"))


def test_a_good_lake_has_no_findings(lake: Path) -> None:
    said: list[str] = []
    assert fsck(DiskStore(lake), on_progress=said.append) == []
    assert said == [f"{TYPE}: commit chains", f"{TYPE} {label(HOUR)}", f"{TYPE} {label(HOUR + 1)}"]


def test_a_tampered_file(lake: Path) -> None:
    data = bytearray(the_file(lake).read_bytes())
    data[len(data) // 2] ^= 1
    the_file(lake).write_bytes(data)
    (finding,) = fsck(DiskStore(lake))
    assert finding[:4] == Finding(TYPE, label(HOUR), "changed_file", str(the_file(lake).relative_to(lake)), "")[:4]
    assert codes(lake, first=HOUR + 1) == set()
    assert codes(lake, last=HOUR) == {"changed_file"}


def test_a_missing_file(lake: Path) -> None:
    the_file(lake).unlink()
    assert codes(lake) == {"missing_file"}


def test_an_extra_file(lake: Path) -> None:
    (folder(lake) / "part-99999-extra.parquet").write_bytes(the_file(lake).read_bytes())
    assert codes(lake) == {"extra_file"}


def test_a_missing_staged_part_of_an_open_hour(lake: Path) -> None:
    (part,) = (lake / "meta/parts").rglob(f"*-{label(HOUR + 2)}-*.parquet")
    part.unlink()
    assert codes(lake) == {"missing_file"}


def test_a_changed_manifest(lake: Path) -> None:
    manifest = folder(lake) / layout.MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": 20', b'"rows": 19'))
    assert "manifest_differs" in codes(lake)


def test_a_missing_marker_or_manifest(lake: Path) -> None:
    (folder(lake) / layout.SUCCESS).unlink()
    (folder(lake, HOUR + 1) / layout.MANIFEST).unlink()
    assert codes(lake) == {"marker_missing", "manifest_missing"}


def test_an_hour_that_nobody_sealed(lake: Path) -> None:
    stray = folder(lake, HOUR + 7)
    stray.mkdir(parents=True)
    (stray / "part-00000-x.parquet").write_bytes(the_file(lake).read_bytes())
    assert codes(lake) == {"hour_unknown"}


def test_an_hour_taken_away(lake: Path) -> None:
    room, feed = Room(*ONE, store=DiskStore(lake)), Feed()
    assert room.seal() == 0
    assert feed.closed is not None
    (lake / layout.seal(TYPE, HOUR)).unlink()
    assert codes(lake) == {"hour_unknown"}


def test_a_broken_chain(lake: Path) -> None:
    chain = lake / layout.commits(TYPE, 0)
    names = sorted(path.name for path in chain.iterdir())
    (chain / names[1]).unlink()
    assert {"chain_gap", "chain_broken", "manifest_differs"} <= codes(lake)
    (chain / names[0]).write_text("{")
    assert "chain_unreadable" in codes(lake)


def test_the_same_hour_twice_under_two_names_is_seen(lake: Path) -> None:
    (lake / layout.seal(TYPE, HOUR + 1)).write_bytes((lake / layout.seal(TYPE, HOUR)).read_bytes())
    assert "manifest_differs" in codes(lake)


def test_hours_and_watermark(lake: Path) -> None:
    store = DiskStore(lake)
    assert types(store) == [TYPE]
    assert watermark(store, TYPE) == HOUR + 1
    rows = hours(store, TYPE)
    assert [(row.label, row.state, row.rows, row.duplicates) for row in rows] == [
        (label(HOUR), "sealed", 20, 1),
        (label(HOUR + 1), "sealed", 20, 1),
        (label(HOUR + 2), "open", 5, None),
    ]
    assert rows[0].complete
    assert rows[0].seal_delay == pytest.approx(2e9 - (HOUR + 1) * 3600)
    assert [row.hour for row in hours(store, TYPE, last=1)] == [HOUR + 1, HOUR + 2]
    assert watermark(store, "t.nothing") is None
    assert hours(store, "t.nothing") == []
    (folder(lake, HOUR + 1) / layout.SUCCESS).unlink()
    assert watermark(store, TYPE) == HOUR
