"""What workers say on their metrics pages reaches `hours` and `status`."""

from __future__ import annotations

from pathlib import Path

from cli.flows import held
from hourmark.errors import LakeUnavailable, RegistryUnavailable
from hourmark.metrics import render
from hourmark.topics import Partition
from sinks.holds import Holds


def test_held_partitions_are_told_by_type_and_reason_and_forgotten(tmp_path: Path) -> None:
    page, silent = tmp_path / "metrics", tmp_path / "nobody"
    holds, one, two = Holds(), Partition("held.one", 0), Partition("held.two", 3)
    told = []
    for act in (
        lambda: holds.add(one, LakeUnavailable("away")),
        lambda: holds.add(two, RegistryUnavailable("no schema 7")),
        lambda: holds.add(two, LakeUnavailable("away")),
        lambda: holds.passed(one),
        lambda: holds.forget(two),
    ):
        act()
        page.write_bytes(render()[0])
        found = held([silent.as_uri(), page.as_uri()])
        told.append({name: codes for name, codes in found.items() if name.startswith("held.")})
    assert told == [
        {"held.one": ("lake_unavailable",)},
        {"held.one": ("lake_unavailable",), "held.two": ("registry_unavailable",)},
        {"held.one": ("lake_unavailable",), "held.two": ("lake_unavailable",)},
        {"held.two": ("lake_unavailable",)},
        {},
    ]
