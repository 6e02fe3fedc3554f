"""The account of a storm finds every way in which it can be wrong; the deck leaves no fault to luck."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from cli.demo.ledger import Ledger
from cli.storm.account import Account, Watch, poison_counted, strike
from cli.storm.faults import FAULTS, Deck
from hourmark.hours import parse_label
from hourmark_client import Verdict
from tests.cli.lakes import add_hour

SEVEN = parse_label("2026-03-01T07")
IDS = ["a", "b", "c", "d"]


def account(lake: Path, told: list[str] = IDS, until: int = SEVEN + 1, watch: Watch | None = None) -> Account:
    ledger = Ledger("a.b")
    ledger.sent, ledger.acknowledged = len(told), list(told)
    found = strike(lake, ledger, until, watch or Watch(lake), set())
    del found.wrong["fsck"]  # this lake has no commit chains, which fsck says of every hour
    return found


def fill(lake: Path, *hours: list[str], equal: bool = True) -> None:
    for number, ids in enumerate(hours):
        add_hour(lake, "a.b", SEVEN + number, [{"_event_id": event_id} for event_id in ids], equal=equal)


@pytest.mark.parametrize(
    ("hours", "wrong"),
    [
        ([["a", "b"], ["c", "d"]], {}),
        ([["a", "b"], ["c"]], {"lost": 1}),
        ([["a", "b", "b"], ["c", "d"]], {"doubled": 1}),
        ([["a", "b"], ["c", "d", "a"]], {"in two hours": 1}),
        ([["a", "b"], ["c", "d", "e"]], {"unknown": 1}),
        ([["a", "b", "c", "d"]], {"stale": 1}),
    ],
)
def test_rows_against_acknowledgements(tmp_path: Path, hours: list[list[str]], wrong: dict[str, int]) -> None:
    fill(tmp_path, *hours)
    assert account(tmp_path).wrong == Counter(wrong)


def test_an_hour_that_is_not_complete(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"], ["c", "d"], equal=False)
    assert account(tmp_path).wrong == Counter({"not complete": 2})


def test_a_type_without_a_sealed_hour_has_lost_everything(tmp_path: Path) -> None:
    assert account(tmp_path).wrong == Counter({"lost": 4, "stale": 1})


def test_an_hour_that_changed_and_one_that_went_away(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"], ["c", "d"])
    watch = Watch(tmp_path)
    assert watch.look(["a.b"]) == 2
    folders = sorted((tmp_path / "events" / "a.b").glob("*/*"))
    manifest = json.loads((folders[0] / "_manifest.json").read_text())
    (folders[0] / "_manifest.json").write_text(json.dumps({**manifest, "writer": "another"}))
    assert account(tmp_path, watch=watch).wrong == Counter({"changed": 1})
    (folders[1] / "_SUCCESS").unlink()
    watch.look(["a.b"])
    assert account(tmp_path, ["a", "b"], SEVEN, watch).wrong == Counter({"changed": 2, "stale": 1})


def test_refusals_count_unless_the_event_was_spoilt(tmp_path: Path) -> None:
    fill(tmp_path, IDS, [])
    ledger = Ledger("a.b")
    ledger.sent, ledger.acknowledged = 6, IDS
    ledger.refused = [Verdict("a.b", event_id, "rejected", 1, code="schema_mismatch") for event_id in ("e", "f")]
    assert strike(tmp_path, ledger, SEVEN + 1, Watch(tmp_path), {"e"}).wrong["refused"] == 1


def test_poison_that_no_manifest_counts(tmp_path: Path) -> None:
    fill(tmp_path, IDS)
    for folder in (tmp_path / "events" / "a.b").glob("*/*"):
        manifest = json.loads((folder / "_manifest.json").read_text())
        manifest["totals"] |= {"rejected": 1, "poisoned": 1}
        (folder / "_manifest.json").write_text(json.dumps(manifest))
    for written, wrong in ((2, 0), (3, 1)):
        found = Account("a.b", 4, 4, 0)
        poison_counted(tmp_path, found, {("raw.a.b", 0, offset): "cut off" for offset in range(written)})
        assert found.wrong["rejects"] == wrong


def test_every_fault_is_in_the_deck_as_often_as_it_says() -> None:
    deck = Deck(random.Random(3))
    drawn = Counter(deck.draw().name for _ in range(2 * sum(fault.weight for fault in FAULTS)))
    assert drawn == Counter({fault.name: 2 * fault.weight for fault in FAULTS})
    only = Deck(random.Random(3), ("kill", "clock"))
    assert {only.draw().name for _ in range(20)} == {"kill", "clock"}
