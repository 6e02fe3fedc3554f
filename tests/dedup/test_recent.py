"""The claims of the last seconds: what is forgotten, what stays, and in which order."""

from __future__ import annotations

import pytest

from dedup import recent
from dedup.index import RECORD_BYTES, Claims
from dedup.recent import RecentClaims


def claims(number: int, count: int = 2) -> Claims:
    return Claims(number, bytes([number]) * RECORD_BYTES * count, [number] * count)


def test_the_old_are_forgotten_and_the_rest_stays_in_order() -> None:
    kept = RecentClaims()
    for number in range(5):
        kept.add(float(number), claims(number))
    kept.forget(3.0)
    assert list(kept) == [claims(3), claims(4)]
    kept.forget(9.0)
    assert list(kept) == []
    kept.add(10.0, claims(7))
    assert list(kept) == [claims(7)]


def test_slices_larger_than_a_mapping_and_over_its_end() -> None:
    kept, large = RecentClaims(), recent._MAPPED_BYTES // RECORD_BYTES + 1
    wanted = [claims(1), claims(2, large), claims(3), claims(4, large - 10), claims(5, 100)]
    for one in wanted:
        kept.add(0.0, one)
    assert list(kept) == wanted


def test_the_newest_stay_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_BYTES", 5 * RECORD_BYTES)
    kept = RecentClaims()
    for number in range(4):
        kept.add(0.0, claims(number))
    kept.forget(0.0)
    assert list(kept) == [claims(2), claims(3)]
