"""What is told of an event: its copies, its hour, and one word for all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cli.watch.decoding import Mask, Sighting, moment, steps
from cli.watch.story import deduplicated, undecided, verdict, why_this_hour
from hourmark.event import FLAG_SKEWED, FLAG_UNCHECKED, Stamp
from hourmark.hours import HOUR_MS, Hours

SEALED: dict[str, Any] = {"hour": "2026-03-01T07", "state": "sealed", "row": True}
OPEN: dict[str, Any] = {"hour": "2026-03-01T07", "state": "open", "row": False}


def copy(partition: int, offset: int, **facts: Any) -> Sighting:
    return Sighting("received", "id", {}, {}, {"deduplicated": moment(5)}, {"partition": partition, "offset": offset, **facts})


@pytest.mark.parametrize(
    ("story", "word"),
    [
        ({}, "unknown"),
        ({"parked": [1]}, "parked"),
        ({"parked": [1], "rejected": [1]}, "rejected"),
        ({"received": [1], "hour": SEALED, "parked": [1]}, "sealed"),
        ({"received": [1], "hour": OPEN}, "open"),
        ({"received": [1], "hour": SEALED | {"row": False}}, "missing"),
        ({"received": [1], "hour": SEALED | {"row": False}, "rejected": [1]}, "rejected"),
        ({"received": [1], "hour": SEALED | {"row": None}}, "sealed"),
        ({"received": [1], "deduplicated": {"kept": None, "why": "…"}}, "deduplicating"),
        ({"received": [1], "deduplicated": {"kept": None, "duplicates": 1}}, "duplicate"),
        ({"received": [1], "deduplicated": {"kept": {"partition": 0, "offset": 1}}, "hour": None}, "deduplicated"),
    ],
)
def test_one_word(story: dict[str, Any], word: str) -> None:
    assert verdict(story) == word


def test_the_copy_that_counts_and_the_others() -> None:
    stamp = Stamp(1, 1, 0, 12, 1000, 3, 0)
    told = deduplicated(copy(0, 12, clean_offset=7), stamp, [copy(0, 12), copy(0, 15), copy(1, 3)])
    assert (told["kept"], told["clean_offset"], told["duplicates"]) == ({"partition": 0, "offset": 12}, 7, 2)


def test_copies_without_one_on_clean() -> None:
    assert "dedup has not settled it: 3 raw records" in undecided([copy(0, 12)], {0: 10})["why"]
    assert undecided([copy(0, 9), copy(1, 3)], {0: 10, 1: 4})["duplicates"] == 2
    assert "duplicates" not in undecided([copy(0, 9)], {})


def test_why_it_is_another_hour() -> None:
    hours, seven = Hours(), 492_007
    appended = seven * HOUR_MS + 5
    happened = datetime.fromtimestamp((seven - 2) * 3600, UTC)
    assert why_this_hour(happened, Stamp(1, 1, 0, 0, appended, seven, 0), hours).startswith("it happened in hour")
    assert why_this_hour(moment(appended), Stamp(1, 1, 0, 0, appended, seven, 0), hours) == ""
    late = why_this_hour(None, Stamp(1, 1, 0, 0, appended, seven + 1, FLAG_SKEWED | FLAG_UNCHECKED), hours)
    assert "behind the barrier" in late
    assert "unchecked" in late


def test_stages_that_are_not_known_are_left_out() -> None:
    assert steps({"sent": moment(1000), "received": None, "stored": moment(1005), "deduplicated": moment(1003)}) == {
        "stored": 5.0,
        "deduplicated": -2.0,
    }


def test_personal_and_undeclared_fields_are_masked() -> None:
    mask = Mask(frozenset({"user"}), frozenset({"user", "ms"}))
    shown = mask.over({"user": {"mail": "a@b.c"}, "ms": 3, "mail_address": "a@b.c"})
    assert shown == {"user": "***", "ms": 3, "mail_address": "text(5)"}
    assert mask.over({"user": None}) == {"user": None}
