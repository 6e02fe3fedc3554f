"""Which day every partition has passed, and what is told of the index's days."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dedup.sealing import Days
from hourmark.schemas import EMPTY
from streams import meters
from streams.day_seal import DaySealer, passed_day
from streams.settings import Settings

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


class Rounds:
    """A sealing whose rounds come to this, one after another."""

    def __init__(self, *rounds: Days | None) -> None:
        self._rounds = list(rounds)

    async def round(self, passed: int) -> Days | None:
        return self._rounds.pop(0)


async def test_a_shortened_window_is_told_once_and_measured() -> None:
    well, short, shorter = Days(100, 50, 1_000, 9_000, 0, False), Days(100, 0, 900, 8_000, 1, False), Days(100, 0, 800, 7_000, 2, True)
    rounds = Rounds(well, None, short, short, shorter, shorter, well)
    settings = Settings(profile="local", kafka="127.0.0.1:1")
    sealer = DaySealer(settings, rounds, lambda: EMPTY, now=lambda: 0.0)  # type: ignore[arg-type]  # a fake
    with capture_logs() as said:
        for _ in range(5):
            await sealer.step()
        assert meters.WINDOW_MISSING_DAYS._value.get() == 2
        assert meters.INDEX_BYTES_PER_ID._value.get() == 7_000 / 800
        for _ in range(2):
            await sealer.step()
    assert meters.WINDOW_MISSING_DAYS._value.get() == 0
    told = [(line["log_level"], line.get("window_days"), line.get("ids")) for line in said]
    assert told == [("info", None, 50), ("warning", 13, None), ("warning", 12, None), ("warning", None, None)]
    assert "maxmemory" in said[-1]["event"]
