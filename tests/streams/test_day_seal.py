"""Which day every partition has passed."""

from __future__ import annotations

import pytest

from streams.day_seal import passed_day

TWO = {"raw.a": 2, "raw.b": 1}


@pytest.mark.parametrize(
    ("closed", "day", "last"),
    [
        ({}, 0, None),
        ({("raw.a", 0): 71, ("raw.a", 1): 71}, 0, "raw.b[0]"),
        ({("raw.a", 0): 71, ("raw.a", 1): 71, ("raw.b", 0): None}, 0, "raw.b[0]"),
        ({("raw.a", 0): 95, ("raw.a", 1): 95, ("raw.b", 0): 71}, 2, "raw.b[0]"),
        ({("raw.a", 0): 95, ("raw.a", 1): 70, ("raw.b", 0): 95}, 1, "raw.a[1]"),
        ({("raw.a", 0): 95, ("raw.a", 1): 95, ("raw.b", 0): 95}, 3, None),
        ({("raw.a", 0): 95, ("raw.a", 1): 95, ("raw.b", 0): 95, ("raw.gone", 0): 1}, 3, None),
        ({("raw.a", 0): 95, ("raw.a", 1): 95, ("raw.a", 2): 47, ("raw.b", 0): 95}, 1, "raw.a[2]"),
    ],
    ids=["new", "one missing", "one without state", "one behind", "one hour behind", "all", "a type gone", "one more than declared"],
)
def test_the_slowest_partition_decides(closed: dict[tuple[str, int], int | None], day: int, last: str | None) -> None:
    found = passed_day(closed, TWO)
    assert found[0] == day
    assert last is None or found[1] == last


def test_nothing_to_read_allows_nothing() -> None:
    assert passed_day({("raw.a", 0): 95}, {}) == (0, "")
